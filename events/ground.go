package events

// Ground says why a request to withdraw is refused (clause 2.7). The zero Ground is
// not said, and no ground.
type Ground uint8

// The grounds.
const (
	LawForbids            Ground = 1 + iota // the law forbids the withdrawal
	ObligationUnfulfilled                   // an obligation to the company is not fulfilled
)

var groundNames = [...]string{LawForbids: "law", ObligationUnfulfilled: "unfulfilled-obligation"}

// ParseGround returns the ground with the given name, or the zero Ground.
func ParseGround(name string) Ground {
	for g := LawForbids; int(g) < len(groundNames); g++ {
		if groundNames[g] == name {
			return g
		}
	}
	return 0
}

// String returns the name of the ground, as events spell it.
func (g Ground) String() string {
	if g == 0 || int(g) >= len(groundNames) {
		return "unknown"
	}
	return groundNames[g]
}
