package cloudevent

import (
	"bytes"
	"mime"
	"strings"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/cekafka"
)

// maxPolicyVersion bounds a policyversion, in bytes: a date or a semantic version,
// with room.
const maxPolicyVersion = 64

// object holds data to a JSON object, by its content type and its braces: what
// is in it decides nothing, and reading JSON costs more than all the rest.
func object(contentType string, data []byte) ([]byte, error) {
	if !isJSON(contentType) {
		return nil, refuse(NotJSON, "datacontenttype")
	}
	const space = " \t\r\n"
	trimmed := data
	if n := len(data); n > 0 && (data[0] != '{' || data[n-1] != '}') {
		trimmed = bytes.Trim(data, space)
	}
	switch n := len(trimmed); {
	case n == 0:
		return nil, refuse(NoData, "data")
	case n == 1 || trimmed[0] != '{' || trimmed[n-1] != '}':
		return nil, refuse(DataNotObject, "data")
	}
	return data, nil
}

func isJSON(contentType string) bool {
	if contentType == "application/json" {
		return true
	}
	media, params, err := mime.ParseMediaType(contentType)
	charset, has := params["charset"]
	return err == nil && media == "application/json" && (!has || strings.EqualFold(charset, "utf-8"))
}

// decided: the zero of our clock is also the zero of [events.Millis].
func (a *attributes) decided() (events.Millis, error) {
	if a.moment.at <= 0 {
		return 0, refuse(cekafka.BadValue, "time")
	}
	return a.moment.at, nil
}

func (a *attributes) policy() (events.PolicyVersion, error) {
	if !a.holds(policyVersion) {
		return "", nil
	}
	text := a.text[policyVersion]
	if !isPolicyVersion(text) {
		return "", refuse(cekafka.BadValue, "policyversion")
	}
	return events.PolicyVersion(text), nil
}

func isPolicyVersion(text string) bool {
	for i := range len(text) {
		switch c := text[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '.', c == '-', c == '_':
		default:
			return false
		}
	}
	return 0 < len(text) && len(text) <= maxPolicyVersion
}

// subject checks that everything that ought to be the same is: the partitionkey
// is the subject, or what stands for it where there is none.
func (a *attributes) subject(otherwise string) (events.Subject, error) {
	key := a.text[partitionKey]
	if !a.holds(subject) {
		if key != otherwise {
			return events.Subject{}, refuse(KeyMismatch, "partitionkey")
		}
		return events.Subject{}, nil
	}
	s, err := events.ParseSubject(a.text[subject])
	if err != nil {
		return s, refuse(BadSubject, "subject")
	}
	if key != a.text[subject] {
		return s, refuse(KeyMismatch, "partitionkey")
	}
	return s, nil
}

// purposes reads a list of names with a comma between each two.
func (a *attributes) purposes(rules *events.Rules) (set events.PurposeSet, err error) {
	if !a.holds(purposes) {
		return 0, nil
	}
	for rest, more := a.text[purposes], true; more; {
		var name string
		name, rest, more = strings.Cut(rest, ",")
		if rules == nil {
			return 0, refuse(UnknownPurpose, "purposes")
		}
		rule, known := rules.Rule(events.Purpose(name))
		if !known {
			return 0, refuse(UnknownPurpose, "purposes")
		}
		if set.Has(rule.Code) {
			return 0, refuse(cekafka.BadValue, "purposes")
		}
		set |= events.SetOf(rule.Code)
	}
	return set, nil
}

func (a *attributes) request() (events.Ref, error) {
	if !a.holds(requestID) {
		return events.Ref{}, nil
	}
	r := events.Ref{Source: a.text[requestSource], ID: a.text[requestID]}
	if r.Source == "" || r.ID == "" {
		return r, refuse(cekafka.BadValue, "requestid")
	}
	return r, nil
}

// proof reads the pointer to the evidence. On what restricts it decides nothing, so
// nothing is asked of it.
func (a *attributes) proof(t events.Type) (string, error) {
	text := a.text[evidence]
	if a.holds(evidence) && !t.Restricts() && !isAbsolute(text) {
		return "", refuse(cekafka.BadValue, "evidence")
	}
	return text, nil
}

// why reads the ground of a refusal and what it refers to. A refusal gives data
// free again, so one without a ground that is known, or without a pointer to it, is
// none.
func (a *attributes) why() (events.Ground, string, error) {
	if !a.holds(ground) {
		return 0, "", nil
	}
	g, text := events.ParseGround(a.text[ground]), a.text[reference]
	switch {
	case g == 0:
		return 0, "", refuse(cekafka.BadValue, "ground")
	case text == "" || !isAbsolute(text):
		return 0, "", refuse(cekafka.BadValue, "reference")
	}
	return g, text, nil
}

func (a *attributes) review() (events.Millis, error) {
	if !a.holds(reviewBy) {
		return 0, nil
	}
	m, ok := parseTime(a.text[reviewBy])
	if !ok || m.at <= 0 {
		return 0, refuse(cekafka.BadValue, "reviewby")
	}
	return m.at, nil
}

// first reads where and when a redriven event first stood.
func (a *attributes) first() (events.Stamp, error) {
	if !a.holds(firstPosition) {
		return events.Stamp{}, nil
	}
	position, err := events.ParsePosition(a.text[firstPosition])
	if err != nil {
		return events.Stamp{}, refuse(cekafka.BadValue, "firstposition")
	}
	m, ok := parseTime(a.text[firstTime])
	if !ok || m.at <= 0 {
		return events.Stamp{}, refuse(cekafka.BadValue, "firsttime")
	}
	return events.Stamp{Position: position, Appended: m.at}, nil
}
