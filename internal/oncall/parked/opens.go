package parked

import (
	"context"
	"slices"
	"strings"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/internal/oncall/exit"
)

// opens returns the services in which somebody would be allowed something once none of
// the cases holds anybody: whoever nothing else holds, and whose state permits it.
func (d *Desk) opens(ctx context.Context, c *Case, cases []*Case) (services []string, err error) {
	var going []events.Position
	for _, other := range cases {
		going = append(going, other.positions()...)
	}
	for _, service := range c.Held {
		for _, s := range c.subjects() {
			opened, err := d.opened(ctx, d.Caches[service], s, going)
			if err != nil {
				return nil, err
			}
			if opened && !slices.Contains(services, service) {
				services = append(services, service)
			}
		}
	}
	return services, nil
}

// opened says whether a subject would be allowed anything by one service's state without
// the holds of some positions. What cannot be read permits nothing.
func (d *Desk) opened(ctx context.Context, cache Cache, s events.Subject, going []events.Position) (bool, error) {
	held, err := cache.Holding(ctx, s)
	if err != nil || held.Overflow || len(held.By) == 0 {
		return false, err
	}
	if slices.ContainsFunc(held.By, func(at events.Position) bool { return !slices.Contains(going, at) }) {
		return false, nil
	}
	partition := events.PartitionOf(s.Reveal(), d.Topics.Partitions)
	sight, err := cache.Look(ctx, partition, []events.Subject{s})
	if err != nil {
		return false, err
	}
	state, err := cache.StateOf(partition, sight.States[0])
	if err != nil {
		return false, nil //nolint:nilerr // a state that cannot be read denies
	}
	return slices.ContainsFunc(d.Rules.Names(d.Rules.All()), func(p events.Purpose) bool { return d.Rules.Decide(state, p).Allowed }), nil
}

// Permit is who agrees that something may be allowed that is denied now.
type Permit struct {
	Grants           bool   // somebody said so at all
	Operator, Second string // who acts, and who agrees: two people
}

// allows refuses what may allow something unless two people say so.
func (by Permit) allows(what string) error {
	operator, second := strings.TrimSpace(by.Operator), strings.TrimSpace(by.Second)
	switch {
	case !by.Grants:
		return exit.Refuse("%s: that needs --permit-grants", what)
	case second == "":
		return exit.Refuse("%s: a second operator must agree (--second-operator)", what)
	case strings.EqualFold(operator, second):
		return exit.Refuse("the second operator must be another person than %s", operator)
	}
	return nil
}
