package doctor

import (
	"context"
	"fmt"
	"time"
)

// The bounds between clocks, from DESIGN 1 and 3.
const (
	// uncertainty is the order rule's: a permission decided later than its append
	// by more than this is parked.
	uncertainty = 500 * time.Millisecond
	// maxSkew is the part of the five seconds promised that is for clocks.
	maxSkew = 500 * time.Millisecond
)

// checkProducerClocks finds producers whose clock runs ahead of the brokers'. A
// clock that is behind, or a decision that waited, looks the same and harms
// nobody.
func checkProducerClocks(ctx context.Context, e *Env) ([]Finding, error) {
	all, err := e.records(ctx)
	if err != nil {
		return nil, err
	}
	most := make(map[string]time.Duration)
	groups := tally(all, func(r *record) (key, bool) {
		ahead := r.decided.Sub(r.appended)
		if !r.read || !r.stamped || ahead <= uncertainty {
			return key{}, false
		}
		most[r.source] = max(most[r.source], ahead)
		return key{source: r.source}, true
	})
	return findings(groups, func(k key, g group) Finding {
		return Finding{
			Severity: Critical, Object: "source " + k.source,
			Found: fmt.Sprintf("its clock runs ahead by up to %v in %s: its grants are parked, its withdrawals alarmed", most[k.source].Round(time.Millisecond), g),
			Fix:   "mend its clock (chronyc tracking); ask the people again whose grants were parked: consentctl parked list",
		}
	}), nil
}

// checkRedisClocks compares the clock of every Redis with ours, by TIME. The
// difference is known to half of what the answer took.
func checkRedisClocks(ctx context.Context, e *Env) ([]Finding, error) {
	nodes, err := e.redis(ctx)
	if err != nil {
		return nil, err
	}
	var out []Finding
	for _, n := range nodes {
		ahead, behind := n.Clock.Sub(n.Answered), n.Asked.Sub(n.Clock)
		off := max(ahead, behind)
		if off <= maxSkew {
			continue
		}
		which := "behind"
		if ahead > 0 {
			which = "ahead of"
		}
		out = append(out, Finding{
			Severity: Warning, Object: "redis " + n.Addr,
			Found: fmt.Sprintf("its clock is %v %s this machine's", off.Round(time.Millisecond), which),
			Fix:   "find out which of the two is wrong (chronyc tracking on both); where the servers of one Redis differ by more than 500ms, guards deny after a failover",
		})
	}
	return out, nil
}

// checkBrokerClocks compares the brokers' clocks with ours. The acknowledgements of
// canaries bound them from both sides. Without canaries the newest append time
// shows a broker that is ahead; one that is behind looks like a quiet topic.
func checkBrokerClocks(ctx context.Context, e *Env) ([]Finding, error) {
	f := Finding{
		Severity: Warning, Object: "kafka",
		Fix: "find out whose clock is wrong, the brokers' or this one (chronyc tracking on all): what is appended counts by theirs",
	}
	probe, err := e.probe(ctx)
	if err != nil {
		return nil, err
	}
	if c := probe.Clock; c.Known {
		switch {
		case c.Behind > maxSkew:
			f.Found = fmt.Sprintf("the clock of a broker is at least %v ahead of this machine's", c.Behind.Round(time.Millisecond))
		case c.Ahead < -maxSkew:
			f.Found = fmt.Sprintf("the clock of a broker is at least %v behind this machine's", -c.Ahead.Round(time.Millisecond))
		default:
			return nil, nil
		}
		return []Finding{f}, nil
	}
	all, err := e.records(ctx)
	if err != nil {
		return nil, err
	}
	now, newest := time.Now(), record{}
	for i := range all {
		if all[i].stamped && all[i].appended.After(newest.appended) {
			newest = all[i]
		}
	}
	ahead := newest.appended.Sub(now)
	if newest.stamped && ahead > maxSkew {
		f.Found = fmt.Sprintf("the record at %v was appended %v in the future of this machine", newest.at, ahead.Round(time.Millisecond))
		return []Finding{f}, nil
	}
	return nil, nil
}
