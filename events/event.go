package events

// Event is one decision about one subject.
//
// In the hot path its texts are views into a record's bytes: whoever keeps one
// longer than the record clones it. The fold keeps none.
type Event struct {
	ID     string // CloudEvents id, unique per source
	Source string // CloudEvents source: who stamped it
	Type   Type
	Method Method // how it came about; what permits must say

	Subject  Subject
	Decided  Millis        // CloudEvents time: when the person decided, by the source's clock
	Purposes PurposeSet    // empty on a block means all purposes; otherwise absent means unchanged
	Policy   PolicyVersion // the version a grant was given under, or that was accepted or published

	Request   Ref    // of a refusal: the request that is refused
	Ground    Ground // of a refusal: why
	Reference string // of a refusal: URI of the law or the obligation that its ground is
	ReviewBy  Millis // of a refusal: when its ground is to be looked at again; 0 if never

	Evidence string // URI of the proof, kept elsewhere; what permits must have it

	Data []byte // JSON object: channel, locale and the like. Never decides, never personal data

	Barrier Barrier // of a barrier: which partition it turns, and to what
	Carried State   // of a carried state: as it was at the end of the log before

	Logged Stamp // where the record stands now
	First  Stamp // where it first stood, if it was redriven from the parked topic; else zero
}

// Ref names another event by its CloudEvents source and id.
type Ref struct{ Source, ID string }

// IsZero says whether the reference names nothing.
func (r Ref) IsZero() bool { return r == Ref{} }

// decision reduces the event to what the order rule needs. A redriven event
// keeps the place and append time it first had, but never gains by them: it
// counts from the earlier of the two. A first place in another log cannot be
// compared: a restriction then counts from here, anything else from before all.
func (e *Event) decision() Decision {
	d := Decision{
		Source:   hash32(e.Source),
		ID:       identity(e.Source, e.ID),
		Offset:   e.Logged.Position.Offset,
		Decided:  max(0, e.Decided), // a stored moment has no sign: nobody decided before 1970
		Appended: max(0, e.Logged.Appended),
	}
	if e.Type.Restricts() && e.Type != WithdrawalRequested { // a refusal names its request by source and id alone
		d.ID = atMoment(d.ID, e.Decided)
	}
	if e.Type == Granted || e.Type == PolicyAccepted {
		d.Policy = policyRefOf(e.Policy)
	}
	if e.First.IsZero() {
		return d
	}
	d.Appended = min(d.Appended, max(0, e.First.Appended))
	switch {
	case e.First.Position.SameLog(e.Logged.Position):
		d.Offset = min(d.Offset, e.First.Position.Offset)
	case !e.Type.Restricts():
		d.Offset = beforeAll
	}
	return d
}
