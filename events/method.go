package events

// Method says how an event came about: who spoke for the person. The zero Method
// is not said, and permits nothing.
type Method uint8

// The methods.
const (
	ByPerson     Method = 1 + iota // the person decided, there and then
	ByStaff                        // an employee recorded what the person decided
	ByImport                       // another system's data, a backfill or a refresh
	ByMerge                        // two records of one person were joined
	ContinuedUse                   // the person went on using the service (clause 1.6)
)

var methodNames = [...]string{
	ByPerson: "person", ByStaff: "staff", ByImport: "import", ByMerge: "merge", ContinuedUse: "continued-use",
}

// ParseMethod returns the method with the given name, or the zero Method.
func ParseMethod(name string) Method {
	for m := ByPerson; int(m) < len(methodNames); m++ {
		if methodNames[m] == name {
			return m
		}
	}
	return 0
}

// String returns the name of the method, as events spell it.
func (m Method) String() string {
	if m == 0 || int(m) >= len(methodNames) {
		return "unknown"
	}
	return methodNames[m]
}

// isExplicit says whether the person's own decision stands behind it.
func (m Method) isExplicit() bool { return m == ByPerson || m == ByStaff }

// mayCause says whether an event of the type may come about so. Anything may
// restrict. Only a decision of the person may permit: a refresh by an upstream
// system must never bring back what was withdrawn (CJEU C-129/21, Proximus), and
// going on to use a service is no consent; it accepts a policy version and
// nothing else.
func (m Method) mayCause(t Type) bool {
	return t.Restricts() || m.isExplicit() || m == ContinuedUse && t == PolicyAccepted
}
