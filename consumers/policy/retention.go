package policy

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"time"

	"github.com/kelisim/kelisim/events"
	versions "github.com/kelisim/kelisim/events/policy"
)

// KeepUntil returns from when on data of a person is to be erased: the latest of
// what the catalogue and its purposes ask. An erasure takes everything, so the
// longest retention decides.
func KeepUntil(c *versions.Catalogue, ended events.Millis) time.Time {
	due := versions.DueAt(ended.Time(), c.Retention)
	for i := range c.Purposes {
		if later := versions.DueAt(ended.Time(), c.Purposes[i].Retention); later.After(due) {
			due = later
		}
	}
	return due
}

// erasureOf returns the event that erases a subject whose retention is over. It is
// decided at the moment it was due: so whoever publishes it again publishes a copy,
// which erases nothing that began since.
func erasureOf(s events.Subject, a events.Agreement, due time.Time) events.Event {
	data := map[string]string{"channel": "system", "ground": "retention-over"}
	if a.By != (events.Version{}) {
		data["ended"] = a.By.String()
	}
	text, _ := json.Marshal(data) // of plain texts: cannot fail
	return events.Event{
		ID: "retention-" + digest(s.Reveal(), millis(a.Ended)), Source: Source, Type: events.SubjectErased,
		Subject: s, Decided: events.MillisOf(due), Data: text,
	}
}

// digest names an event by what it follows from, and tells nobody what that is.
func digest(parts ...string) string {
	sum := sha256.New()
	for _, part := range parts {
		_, _ = io.WriteString(sum, part+"\x00") // a hash never fails
	}
	return hex.EncodeToString(sum.Sum(nil)[:16]) // 128 bits, as a UUID
}
