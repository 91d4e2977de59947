package simulation

import "github.com/kelisim/kelisim/events"

// A rule says where the subject stands at the end of a history: allowed or not.
type rule func(h *history) bool

// Columns names the rules, in the order of a row's counts. The last is ours.
func Columns() []string {
	return []string{"log order", "event time", "two keys without append time", "two keys"}
}

// logOrder is last write wins by place in the log: the state that a consumer
// has who applies what comes.
func logOrder(h *history) (allowed bool) {
	for i := range h.log {
		if !h.log[i].parked {
			allowed = h.log[i].grant
		}
	}
	return allowed
}

// eventTime is last write wins by the producers' stamps; a withdrawal wins ties.
func eventTime(h *history) bool {
	latest := &h.log[0]
	for i := range h.log {
		r := &h.log[i]
		if r.decided > latest.decided || r.decided == latest.decided && !r.grant {
			latest = r
		}
	}
	return latest.grant
}

// withoutAppendTime is our rule as it would be on a log whose append times are
// not known: two keys, but the second by the stamps alone. It remembers every
// copy and every withdrawal, which is more than ours does.
func withoutAppendTime(uncertainty events.Millis) rule {
	return func(h *history) bool {
		var (
			seen    [maxDecisions]bool
			stops   [maxDecisions]*record
			n       int
			allowed bool
		)
		for i := range h.log {
			r := &h.log[i]
			if r.parked || seen[r.id] {
				continue
			}
			seen[r.id] = true
			if !r.grant {
				stops[n], allowed = r, false
				n++
				continue
			}
			opens := true
			for _, stop := range stops[:n] {
				opens = opens && r.beats(stop, uncertainty)
			}
			allowed = allowed || opens
		}
		return allowed
	}
}

func (r *record) place() int64 {
	if r.redriven {
		return r.first
	}
	return r.offset
}

func (r *record) beats(stop *record, uncertainty events.Millis) bool {
	if r.source != stop.source {
		return r.place() > stop.place() && r.decided > stop.decided+uncertainty
	}
	return r.place() > stop.place() && r.decided > stop.decided
}

// twoKeys is the real fold.
func twoKeys(rules *events.Rules) rule {
	rule, _ := rules.Rule(purpose)
	of := events.SetOf(rule.Code)
	ids, sources := [maxDecisions]string{}, [producers]string{}
	for i := range ids {
		ids[i] = string(rune('a' + i))
	}
	for i := range sources {
		sources[i] = "/producer/" + string(rune('a'+i))
	}
	return func(h *history) bool {
		var s events.State
		for i := range h.log {
			r := &h.log[i]
			if r.parked {
				continue
			}
			e := events.Event{
				Method: events.ByPerson, Policy: events.SeedPolicy, ID: ids[r.id], Source: sources[r.source], Type: events.Withdrawn, Decided: r.decided, Purposes: of,
				Logged: events.Stamp{Position: place(r.offset), Appended: r.at},
			}
			if r.grant {
				e.Type = events.Granted
			}
			if r.redriven {
				e.First = events.Stamp{Position: place(r.first), Appended: r.firstAt}
			}
			s, _ = rules.Apply(s, &e)
		}
		return rules.Decide(s, purpose).Allowed
	}
}

// purpose is purely optional: a withdrawal of it cannot be refused.
const purpose events.Purpose = "promotion"

func place(offset int64) events.Position {
	return events.Position{Generation: 1, Partition: 0, Offset: offset}
}
