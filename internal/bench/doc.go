// Package bench measures the pipeline beside its peers and its limits, in one
// run and on the same broker and Redis, and prints ratios: on a shared machine
// an absolute figure means little. It has only tests; make bench and make
// bench-real run them.
package bench
