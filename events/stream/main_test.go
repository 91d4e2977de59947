package stream_test

import (
	"flag"
	"os"
	"strconv"
	"testing"
)

// sideBySide is how many parallel tests run at once, however few processors there are: nearly all of their time they wait
// for an answer that does not come.
const sideBySide = 8

func TestMain(m *testing.M) {
	_ = flag.Set("test.parallel", strconv.Itoa(sideBySide))
	flag.Parse() // -parallel still counts
	os.Exit(m.Run())
}
