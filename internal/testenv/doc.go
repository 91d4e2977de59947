// Package testenv gives tests a Kafka and a Redis.
//
// The build tag real decides which: without it both run inside the test process (internal/embedded) and start in
// milliseconds; with it they are Apache Kafka 4.3.1 on Java, resolved by Maven, and Debian's redis-server. The same test
// runs on both, so a test says what it needs and not where it gets it. Tests of what only a real server does (log
// cleaner, replication, Redis Cluster) stand in files tagged real and use the functions of redis_real.go as well.
//
// All servers listen on free loopback ports and are stopped, and their directories removed, when the test ends or the
// test process dies, however it dies.
//
// It leaves to others how Kafka and Redis are run (internal/embedded, internal/testenv/realkafka and realredis).
// Only test files import it.
package testenv
