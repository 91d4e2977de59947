package doctor

import (
	"context"
	"fmt"
	"slices"
)

// checkGroups finds services that nobody runs, and partitions that nobody owns.
func checkGroups(ctx context.Context, e *Env) ([]Finding, error) {
	admin, err := e.Admin()
	if err != nil {
		return nil, err
	}
	partitions, err := e.partitions()
	if err != nil {
		return nil, err
	}
	var out []Finding
	for _, s := range e.Services {
		g, err := admin.Group(ctx, s.Group)
		if err != nil {
			return out, err
		}
		f := Finding{Severity: Critical, Object: s.Name, Fix: "start it: consentd " + s.Name}
		owned := make(map[int32]bool)
		for _, m := range g.Members {
			for _, p := range m.Assigned[e.Topics.Events] {
				owned[p] = true
			}
			for topic := range m.Assigned {
				if topic != e.Topics.Events {
					out = append(out, Finding{
						Severity: Critical, Object: s.Name,
						Found: fmt.Sprintf("a member at %s reads %s in the service's group, and not %s", m.Host, topic, e.Topics.Events),
						Fix:   "set its topics.events, or give whoever reads there a group of its own",
					})
				}
			}
		}
		switch {
		case g.State == "Dead":
			f.Found = fmt.Sprintf("its group %s is not there: no instance ever ran here, or none for weeks", s.Group)
		case len(g.Members) == 0:
			f.Found = fmt.Sprintf("its group %s has no member: guards deny as stale", s.Group)
		case g.State != "Stable":
			f.Severity = Warning
			f.Found = fmt.Sprintf("its group %s is in %s with %d members", s.Group, g.State, len(g.Members))
			f.Fix = "look again in a few seconds; a group that does not come to rest has a member that joins and fails: look into its log"
		case len(owned) < int(partitions):
			f.Found = fmt.Sprintf("nobody owns partitions %v", unowned(owned, partitions))
			f.Fix = "restart its members one at a time; if topics.yaml is right, the topic has grown: consentctl topics check"
		default:
			continue
		}
		out = append(out, f)
	}
	return out, nil
}

func unowned(owned map[int32]bool, partitions int32) (none []int32) {
	for p := range partitions {
		if !owned[p] {
			none = append(none, p)
		}
	}
	slices.Sort(none)
	return none
}
