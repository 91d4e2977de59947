package events

import "strings"

// CanaryPrefix begins the ids of synthetic subjects that grant and withdraw all
// day, so that somebody notices when stops no longer arrive. No producer gives a
// person such an id. Services fold and guards answer canaries like anybody else,
// for that is what is measured; but no service acts on one, and none is counted
// as a person.
const CanaryPrefix = "canary-"

// IsCanary says whether the subject is a canary and not a person.
func (s Subject) IsCanary() bool { return strings.HasPrefix(s.id, CanaryPrefix) }
