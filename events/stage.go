package events

// Stage is what a partition of the log is in, for one generation of it: states of
// the generation before are entered, decisions count, or the log has ended. A
// [Barrier] turns it. The zero Stage is that of a log in which no
// barrier stands, as generation 1 begins: decisions count.
type Stage uint8

// The stages, in the order in which a partition goes through them.
const (
	StageOpen    Stage = iota // decisions count
	StageOpening              // before that: states are entered, and no decision counts yet
	StageEnded                // nothing counts: the log goes on in the next generation
)

var stageNames = [...]string{StageOpen: "open", StageOpening: "opening", StageEnded: "ended"}

// String returns the name of the stage, as barriers and caches spell it.
func (s Stage) String() string {
	if int(s) >= len(stageNames) {
		return "unknown"
	}
	return stageNames[s]
}

// ParseStage returns the stage of that name.
func ParseStage(name string) (s Stage, ok bool) {
	for i, known := range stageNames {
		if known == name {
			return Stage(i), true
		}
	}
	return StageEnded, false
}

// Why the stage of a partition does not take a record.
const (
	ReasonBehindBarrier = "behind-barrier" // the log has ended in front of it
	ReasonBeforeOpening = "before-opening" // a decision among the states that are entered
	ReasonCarriedLate   = "carried-late"   // a state that is entered when decisions count
	ReasonBarrier       = "barrier-out-of-place"
)

// Barrier is a record that turns the stage of the partition in which it stands.
type Barrier struct {
	Generation uint32 // of the log
	Partition  int32
	Stage      Stage // from here on
}

// Turn returns the stage behind a barrier at a place, or why there can be none: it
// is another partition's, states are entered at the very beginning alone, and nothing
// comes behind the end.
func (s Stage) Turn(b Barrier, at Position) (next Stage, reason string) {
	switch {
	case s == StageEnded:
		return s, ReasonBehindBarrier
	case b.Generation != at.Generation || b.Partition != at.Partition:
		return s, ReasonBarrier
	case b.Stage == StageOpening && at.Offset == 0, b.Stage == StageOpen && s == StageOpening, b.Stage == StageEnded && s == StageOpen:
		return b.Stage, ""
	}
	return s, ReasonBarrier
}

// Takes returns why a record of a type other than [LogBarrier] does not count in
// this stage, or nothing.
func (s Stage) Takes(t Type) (reason string) {
	switch {
	case s == StageOpen && t != StateCarried, s == StageOpening && t == StateCarried:
		return ""
	case s == StageOpen:
		return ReasonCarriedLate
	case s == StageOpening:
		return ReasonBeforeOpening
	}
	return ReasonBehindBarrier
}
