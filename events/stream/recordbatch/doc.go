// Package recordbatch reads and writes Kafka record batches of format 2 (magic 2), the only format that
// Kafka 4 keeps. It works on byte slices: it knows no connection and no client library.
//
// Reading verifies the CRC, honours LastOffsetDelta (so empty batches that the log cleaner leaves behind
// still move the position), leaves out control batches and aborted transactions, takes the append time
// where the topic has one, and hands out records as views without an allocation per record. Nothing that
// a broker or a hostile producer can send makes it panic or allocate without a limit.
//
// It leaves to others: fetching, positions, retries and what to do with a batch that cannot be read.
// Package stream calls it from its consumer (reading) and its idempotent producer (writing); tests use the
// writer to craft the batches that only a real log cleaner or a transactional producer would leave.
package recordbatch
