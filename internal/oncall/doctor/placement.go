package doctor

import (
	"context"
	"fmt"
)

// checkPlacement finds records in another partition than murmur2 of their key
// gives: their producer has another partitioner, and a person's grant and
// withdrawal stand in two partitions, which no order holds together.
func checkPlacement(ctx context.Context, e *Env) ([]Finding, error) {
	all, err := e.records(ctx)
	if err != nil {
		return nil, err
	}
	groups := tally(all, func(r *record) (key, bool) {
		switch {
		case r.home < 0:
			return key{source: r.source, what: "without a key"}, true
		case r.home != r.at.Partition:
			return key{source: r.source, what: "in another partition than their key's"}, true
		}
		return key{}, false
	})
	return findings(groups, func(k key, g group) Finding {
		return Finding{
			Severity: Critical, Object: "source " + k.source,
			Found: fmt.Sprintf("%s stand %s", g, k.what),
			Fix: "set its partitioner (librdkafka: partitioner=murmur2_random; kafka-go: Murmur2Balancer; Java's default is right), " +
				"then consentctl parked redrive",
		}
	}), nil
}

// checkAppendTime finds records whose time is their producer's. The order rule
// counts from the broker's: without it every permission is parked.
func checkAppendTime(ctx context.Context, e *Env) ([]Finding, error) {
	all, err := e.records(ctx)
	if err != nil {
		return nil, err
	}
	groups := tally(all, func(r *record) (key, bool) { return key{source: e.Topics.Events}, !r.stamped })
	return findings(groups, func(k key, g group) Finding {
		return Finding{
			Severity: Critical, Object: k.source,
			Found: fmt.Sprintf("%d of the newest records carry their producer's time and not the broker's (as at %s)", g.count, g.last),
			Fix:   "set message.timestamp.type=LogAppendTime: consentctl topics align --apply; then consentctl parked redrive",
		}
	}), nil
}
