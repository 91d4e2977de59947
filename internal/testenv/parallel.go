package testenv

import (
	"flag"
	"strconv"
	"testing"
)

// Parallel lets a test that mostly waits run beside others, on embedded servers alone. Real ones are processes that want
// the processor for themselves, and two tests that start brokers of their own would measure each other.
func Parallel(t *testing.T) {
	t.Helper()
	if !Real() {
		t.Parallel()
	}
}

// sideBySide is how many of them run at once, however few processors there are: most of their time they wait for a group to
// form, for freshness to run out, for an answer that does not come.
const sideBySide = 8

// SideBySide has so many parallel tests of a package run at once, unless -parallel says another number. It belongs in
// TestMain.
func SideBySide() {
	if !Real() {
		_ = flag.Set("test.parallel", strconv.Itoa(sideBySide))
	}
}
