// Package stream carries bytes to and from Kafka: the producer that publishes once and in order, and the
// consumer that reads everything, knows how fresh it is, and never skips silently. It is the only package
// that speaks kafka-go.
//
// It leaves to others what the bytes mean (package events/cloudevent), what is done with them (package
// consumers) and the resume point that counts, which stands in Redis beside the state it belongs to: the
// group's offset in Kafka is a hint. Callers are the consumers' engine, the programs under cmd, and tests.
package stream
