package replay

import (
	"strings"

	"github.com/kelisim/kelisim/internal/oncall/exit"
)

// Orders are on whose word, and how, a plan is carried out.
type Orders struct {
	Operator       string
	PermitGrants   bool   // may allow what is denied
	SecondOperator string // who agrees to that: another person
	Checkpoint     string // file that says how far it is; "": none is kept
}

// permit refuses what would allow something, unless two people say so.
func (o *Orders) permit(p *Plan) error {
	n := p.Allows()
	first, second := strings.TrimSpace(o.Operator), strings.TrimSpace(o.SecondOperator)
	switch {
	case n == 0:
		return nil
	case !o.PermitGrants:
		return exit.Refuse("%d of the repairs would allow what is denied now: that needs --permit-grants, or a plan with --only-deny", n)
	case second == "":
		return exit.Refuse("%d of the repairs would allow what is denied now: a second operator must agree (--second-operator)", n)
	case strings.EqualFold(first, second):
		return exit.Refuse("the second operator must be another person than %s", first)
	}
	return nil
}
