// Package endtoend holds the promises of DESIGN 1 against the whole pipeline:
// producer, Kafka, services, Redis, guard. It has only tests. Those of real.go
// kind run with the tag real, on Apache Kafka and redis-server.
package endtoend
