package cloudevent

import (
	"strings"

	"github.com/kelisim/kelisim/events/cekafka"
)

// slot is the place of one attribute that Kelisim reads.
type slot uint8

const (
	specVersion slot = iota
	id
	source
	eventType
	subject
	eventTime
	dataContentType // from content-type
	ceContentType   // from ce_datacontenttype, which the JavaScript SDK writes as well
	dataSchema
	partitionKey
	purposes
	policyVersion
	method
	evidence
	requestSource
	requestID
	ground
	reference
	reviewBy
	firstPosition
	firstTime
	slots
)

// Extensions returns the CloudEvents extension attributes that Kelisim knows.
func Extensions() []string {
	var names []string
	for s := partitionKey; s < slots; s++ {
		names = append(names, s.String())
	}
	return names
}

// header returns the name of the header that holds the attribute.
func (s slot) header() string {
	return [...]string{
		specVersion: "ce_specversion", id: "ce_id", source: "ce_source", eventType: "ce_type",
		subject: "ce_subject", eventTime: "ce_time", dataContentType: cekafka.ContentType,
		ceContentType: "ce_datacontenttype", dataSchema: "ce_dataschema", partitionKey: "ce_partitionkey",
		purposes: "ce_purposes", policyVersion: "ce_policyversion", method: "ce_method", evidence: "ce_evidence",
		requestSource: "ce_requestsource", requestID: "ce_requestid", ground: "ce_ground", reference: "ce_reference",
		reviewBy: "ce_reviewby", firstPosition: "ce_firstposition", firstTime: "ce_firsttime",
	}[s]
}

// String returns the name of the attribute.
func (s slot) String() string {
	if s == dataContentType {
		s = ceContentType
	}
	return strings.TrimPrefix(s.header(), cekafka.Prefix)
}

// slotOf finds the attribute of a header by its exact name. Writing the names
// out lets the compiler switch on their length.
func slotOf(header []byte) (slot, bool) {
	switch string(header) {
	case "ce_specversion":
		return specVersion, true
	case "ce_id":
		return id, true
	case "ce_source":
		return source, true
	case "ce_type":
		return eventType, true
	case "ce_subject":
		return subject, true
	case "ce_time":
		return eventTime, true
	case "content-type":
		return dataContentType, true
	case "ce_datacontenttype":
		return ceContentType, true
	case "ce_dataschema":
		return dataSchema, true
	case "ce_partitionkey":
		return partitionKey, true
	case "ce_purposes":
		return purposes, true
	case "ce_policyversion":
		return policyVersion, true
	case "ce_method":
		return method, true
	case "ce_evidence":
		return evidence, true
	case "ce_ground":
		return ground, true
	case "ce_reference":
		return reference, true
	case "ce_reviewby":
		return reviewBy, true
	case "ce_requestsource":
		return requestSource, true
	case "ce_requestid":
		return requestID, true
	case "ce_firstposition":
		return firstPosition, true
	case "ce_firsttime":
		return firstTime, true
	}
	return 0, false
}

// attributes is the first layer of an event: CloudEvents attributes as text.
type attributes struct {
	text   [slots]string // views of the record in binary mode
	has    mask
	moment moment // of time, once valid
}

func (a *attributes) set(s slot, text string) {
	a.text[s] = text
	a.has |= 1 << s
}

func (a *attributes) drop(s slot) { a.has &^= 1 << s }

func (a *attributes) holds(s slot) bool { return a.has>>s&1 != 0 }
