// Package readme holds the code of the README, so that it compiles. It has only
// tests.
package readme
