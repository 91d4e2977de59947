package testenv

import "testing"

// Parallel lets a test that mostly waits run beside others, on embedded servers alone. Real ones are processes that want
// the processor for themselves, and two tests that start brokers of their own would measure each other.
func Parallel(t *testing.T) {
	t.Helper()
	if !Real() {
		t.Parallel()
	}
}
