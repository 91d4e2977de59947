// Package cekafka is the CloudEvents Kafka protocol binding for
// github.com/segmentio/kafka-go: it turns Kafka messages into CloudEvents and
// back, in binary and in structured content mode.
//
// [NewMessage] reads a message, [WriteMessage] fills one; [NewSender] and
// [NewReceiver] do both over a *kafka.Writer and a *kafka.Reader, or anything
// else with the same one or two methods. [Decode] reads a message without the
// caller touching the CloudEvents SDK. Connections, retries and groups are left
// to kafka-go; checking what an event means is left to the caller.
//
// # Decided answers
//
// Where the specification (Kafka protocol binding 1.0.2) leaves a choice, or
// real producers stray from it, the answer is fixed and tested:
//
//	header names                    matched without regard to case (ASCII)
//	content-type application/cloudevents…  structured, prefix without regard to case
//	  …+json; charset=utf-8         accepted; another charset is refused
//	  …-batch+json, unknown format  not an event for this binding: EncodingUnknown
//	no ce_specversion               not an event: EncodingUnknown
//	specversion neither 1.0 nor 0.3 refused
//	the same header twice           refused, also when the names differ by case
//	content-type and ce_datacontenttype    accepted when equal (the JavaScript SDK
//	                                writes both), otherwise refused
//	ce_datacontenttype alone        accepted as datacontenttype
//	name not of letters and digits  refused, and so is ce_data
//	value not UTF-8                 refused; headers of others are not looked at
//	null header value               like an empty one: kafka-go's Reader cannot
//	                                tell them apart, so no answer may depend on it
//	null or empty record value      an event without data, for the same reason
//	ce_ headers in structured mode  ignored, the value says it all
//	JSON member twice, data and data_base64, attribute not a string, boolean
//	  or 32-bit integer             refused
//	more than MaxAttributes         refused
//
// An event without data is written as a null value, as the specification asks.
// On a compacted topic that is a tombstone: it deletes the key.
package cekafka
