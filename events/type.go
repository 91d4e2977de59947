package events

// Type is the kind of an event. The zero Type is unknown and is refused
// everywhere.
type Type uint8

// The kinds of events. The text names are CloudEvents types, reverse DNS with
// the version of the contract at the end (CloudEvents primer, "type").
const (
	Granted             Type = 1 + iota // the person consents to purposes
	Withdrawn                           // consent for purposes ends
	WithdrawalRequested                 // clause 2.6: the person asks; restricts at once
	WithdrawalRefused                   // clause 2.7: the named request is refused, with a ground
	Blocked                             // use is frozen, erasure too
	Unblocked                           // a block is lifted
	PolicyPublished                     // a policy version with its catalogue; has no subject
	PolicyAccepted                      // the person accepted a policy version
	AgreementStarted                    // contract purposes are open
	AgreementSuspended                  // contract purposes stop for now (clause 2.6)
	AgreementResumed                    // a suspension is lifted
	AgreementEnded                      // contract purposes stop, retention starts (clause 2.5)
	SubjectErased                       // everything of the subject is gone

	// Of the log itself, and nobody's decisions; see [Stage].
	LogBarrier   // from here on a partition is in another stage; has no subject
	StateCarried // what a subject's decisions in the generation before add up to
)

var typeNames = [...]string{
	Granted:             "io.kelisim.consent.granted.v1",
	Withdrawn:           "io.kelisim.consent.withdrawn.v1",
	WithdrawalRequested: "io.kelisim.withdrawal.requested.v1",
	WithdrawalRefused:   "io.kelisim.withdrawal.refused.v1",
	Blocked:             "io.kelisim.processing.blocked.v1",
	Unblocked:           "io.kelisim.processing.unblocked.v1",
	PolicyPublished:     "io.kelisim.policy.published.v1",
	PolicyAccepted:      "io.kelisim.policy.accepted.v1",
	AgreementStarted:    "io.kelisim.agreement.started.v1",
	AgreementSuspended:  "io.kelisim.agreement.suspended.v1",
	AgreementResumed:    "io.kelisim.agreement.resumed.v1",
	AgreementEnded:      "io.kelisim.agreement.ended.v1",
	SubjectErased:       "io.kelisim.subject.erased.v1",
	LogBarrier:          "io.kelisim.log.barrier.v1",
	StateCarried:        "io.kelisim.state.carried.v1",
}

// Types returns every type that a producer may publish, in the order of their
// declaration.
func Types() []Type {
	all := make([]Type, 0, SubjectErased)
	for t := Granted; t <= SubjectErased; t++ {
		all = append(all, t)
	}
	return all
}

// LogTypes returns the types that belong to the log itself: consentctl writes them
// when the log is laid out anew, and nobody else.
func LogTypes() []Type { return []Type{LogBarrier, StateCarried} }

// OfLog says whether the type is one of [LogTypes].
func (t Type) OfLog() bool { return t == LogBarrier || t == StateCarried }

// ParseType returns the type with the given CloudEvents name, or the zero Type.
func ParseType(name string) Type {
	for t := Granted; int(t) < len(typeNames); t++ {
		if typeNames[t] == name {
			return t
		}
	}
	return 0
}

// String returns the CloudEvents name of the type.
func (t Type) String() string {
	if t == 0 || int(t) >= len(typeNames) {
		return "unknown"
	}
	return typeNames[t]
}

// Restricts says whether an event of the type can only narrow what is allowed.
func (t Type) Restricts() bool {
	switch t {
	case Withdrawn, WithdrawalRequested, Blocked, AgreementSuspended, AgreementEnded, SubjectErased:
		return true
	}
	return false
}
