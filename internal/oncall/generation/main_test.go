package generation

import (
	"os"
	"testing"

	"github.com/kelisim/kelisim/internal/testenv"
)

func TestMain(m *testing.M) {
	testenv.SideBySide()
	os.Exit(m.Run())
}
