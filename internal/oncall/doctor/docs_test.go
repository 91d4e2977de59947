package doctor

import (
	"fmt"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/internal/testenv"
)

func TestDocumentationNamesEveryCheck(t *testing.T) {
	testenv.Parallel(t)
	text, err := os.ReadFile("../../../docs/doctor.md")
	require.NoError(t, err)
	seen := make(map[string]bool)
	for _, c := range Checks() {
		require.Contains(t, string(text), fmt.Sprintf("| `%s` | %s |", c.Name, c.Finds))
		require.False(t, seen[c.Name], "%s: twice", c.Name)
		seen[c.Name] = true
	}
}
