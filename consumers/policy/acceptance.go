package policy

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/cloudevent"
	versions "github.com/kelisim/kelisim/events/policy"
)

// use is an activity and the record that proves it.
type use struct {
	cloudevent.Activity        // At is the earlier of the source's clock and the log's
	record              string // topic/partition@offset
}

// deemed is from when on use accepts a version.
type deemed struct {
	*versions.Catalogue
	from  time.Time
	later []events.PolicyVersion // those published behind it
}

// deemedVersions returns the versions that use may accept, the last published
// first: each from the day on which it is in force and people could read it for
// seven full days. It counts as published on the day that it says, or on that of
// its append if that is later: nobody could read it before. One whose append is
// not known is left out.
func deemedVersions(p Publications) (all []deemed) {
	var later []events.PolicyVersion
	for _, c := range slices.Backward(p.Book().Versions()) {
		if appended, known := p.Appended(c.Version); known {
			published := c.PublishedOn
			if day := versions.DateOf(appended); day.Compare(published) > 0 {
				published = day
			}
			from := versions.DeemedFrom(published)
			if start := c.EffectiveOn.Start(); start.After(from) {
				from = start
			}
			all = append(all, deemed{c, from, slices.Clone(later)})
		}
		later = append(later, c.Version)
	}
	return all
}

// deemedAt returns the version that use at a moment accepts, or nil.
func deemedAt(all []deemed, at time.Time) *deemed {
	for i := range all {
		if !at.Before(all[i].from) {
			return &all[i]
		}
	}
	return nil
}

// verdict is what came of an activity, as metrics spell it.
type verdict string

const (
	accepted    verdict = "accepted"
	already     verdict = "already"      // this version, or a later one
	early       verdict = "early"        // before any version could be accepted by use
	noAgreement verdict = "no-agreement" // whom no agreement binds, no change of it does
	unreadable  verdict = "unreadable"
)

// judge says whether use accepts a version, by where the subject stands.
func judge(r *events.Rules, s events.State, d *deemed) verdict {
	if phase := r.Agreement(s).Phase; phase != events.Lives && phase != events.OnHold {
		return noAgreement
	}
	for _, v := range append([]events.PolicyVersion{d.Version}, d.later...) {
		if last, _ := r.Accepted(s, v); last {
			return already
		}
	}
	return accepted
}

// acceptanceOf returns the event by which use accepts a version: one for each
// subject and version, so that another is a copy. It names the publication, by its
// id, and the record of the use.
func acceptanceOf(u use, c *versions.Catalogue) events.Event {
	data, _ := json.Marshal(map[string]string{ // of plain texts: cannot fail
		"channel": "system", "publication": c.Hash(), "activity": u.record,
	})
	return events.Event{
		ID:     "continued-use-" + digest(u.Subject.Reveal(), string(c.Version)),
		Source: Source, Type: events.PolicyAccepted, Method: events.ContinuedUse,
		Subject: u.Subject, Decided: u.At, Policy: c.Version, Evidence: "urn:kelisim:record:" + u.record, Data: data,
	}
}
