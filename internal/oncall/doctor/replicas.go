package doctor

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/kelisim/kelisim/deploy"
	"github.com/kelisim/kelisim/events/stream"
)

// checkReplicas finds partitions that nobody leads, that take no writes, and that
// have fewer copies than they should.
func checkReplicas(ctx context.Context, e *Env) ([]Finding, error) {
	found, wanted, err := e.described(ctx)
	if err != nil {
		return nil, err
	}
	var out []Finding
	for _, want := range wanted {
		for _, p := range found[want.Name].Partitions {
			if f, bad := replicated(want, p); bad {
				out = append(out, f)
			}
		}
	}
	return out, nil
}

func replicated(want deploy.Topic, p stream.PartitionStatus) (Finding, bool) {
	least, _ := strconv.Atoi(want.Config["min.insync.replicas"]) // deploy has checked it
	f := Finding{Severity: Critical, Object: fmt.Sprintf("%s/%d", want.Name, p.ID)}
	away := slices.DeleteFunc(slices.Clone(p.Replicas), func(id int32) bool { return slices.Contains(p.InSync, id) })
	switch {
	case p.Leader < 0:
		f.Found = fmt.Sprintf("no leader; its replicas are on brokers %v", p.Replicas)
		f.Fix = fmt.Sprintf("bring one of the brokers %v back; do not elect an unclean leader: it lacks acknowledged withdrawals", p.Replicas)
	case len(p.InSync) < least:
		f.Found = fmt.Sprintf("%d of %d replicas in sync, and a write needs %d: producers are refused", len(p.InSync), len(p.Replicas), least)
		f.Fix = fmt.Sprintf("bring the brokers %v back", away)
	case len(p.InSync) < len(p.Replicas):
		f.Severity = Warning
		f.Found = fmt.Sprintf("%d of %d replicas in sync", len(p.InSync), len(p.Replicas))
		f.Fix = fmt.Sprintf("bring the brokers %v back, or look at their disks and network", away)
	default:
		return f, false
	}
	return f, true
}
