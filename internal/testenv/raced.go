//go:build race

package testenv

// Raced says that the race detector runs: everything takes five to ten times the processor time.
const Raced = true
