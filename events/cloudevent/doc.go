// Package cloudevent is the codec of Kelisim: an [events.Event] as a CloudEvents
// 1.0 Kafka record, and back.
//
// [Decoder] reads attributes straight from the bytes of a record, without an
// allocation; [Encoder] writes binary mode. Everything that decides stands in
// attributes, so data, which is evidence, is never parsed where events are read; the
// encoder holds it to the schema of its type (package schemas), for what is no part
// of an event must not come into the log. Records in structured mode are read through
// package cekafka, the only one that knows the CloudEvents SDK; a fuzz test holds both
// ways to the same answers.
//
// Reading is in two layers. The first is CloudEvents: it accepts and refuses
// exactly what the SDK does. The second is the contract of Kelisim:
//
//	specversion               1.0; 0.3 is a CloudEvent and no event of Kelisim
//	id, source, type, time, datacontenttype, partitionkey    mandatory
//	type                      one of events.Types
//	subject                   an opaque id (events.ParseSubject), the partitionkey and the record key
//	time                      after 1970
//	datacontenttype           application/json, in UTF-8
//	data                      a JSON object, never null and never missing: the record
//	                          would be a tombstone. It is not looked into
//	purposes                  "promotion,research": every name in the rules, none twice
//	policyversion             1 to 64 letters, digits, dots, dashes or underscores
//	method                    on what permits: how it came about (events.Method); one not known permits nothing
//	evidence                  on what permits: URI of the proof
//	requestsource, requestid  on a refusal: the request that is refused
//	ground, reference         on a refusal: why (events.Ground), and the URI of the law or obligation
//	reviewby                  on a refusal: when its ground is looked at again
//	firstposition, firsttime  on a redriven event: where and when it first stood
//	any other extension       ignored
//
// Which type needs what is in [Shape]. A refusal is a [MalformedError]: it names
// a stable reason and holds no value of the record.
//
// It leaves to others where records come from (package stream), what events add
// up to (package events) and what to do with a record that is refused (package
// consumers).
package cloudevent
