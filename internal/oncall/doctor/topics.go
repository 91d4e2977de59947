package doctor

import (
	"context"
	"fmt"

	"github.com/kelisim/kelisim/internal/oncall/topics"
)

// promises are the settings that a promise rests on. Any other difference is one
// that somebody should know of.
var promises = map[string]bool{
	"topic": true, "partitions": true, "cleanup.policy": true, "message.timestamp.type": true,
	"min.insync.replicas": true, "unclean.leader.election.enable": true, "retention.ms": true,
}

// checkTopics holds every topic against deploy/topics.yaml.
func checkTopics(ctx context.Context, e *Env) ([]Finding, error) {
	wanted, err := e.wanted(ctx)
	if err != nil {
		return nil, err
	}
	admin, err := e.Admin()
	if err != nil {
		return nil, err
	}
	differences, err := topics.Check(ctx, admin, wanted)
	if err != nil {
		return nil, err
	}
	var out []Finding
	for _, d := range differences {
		f := Finding{Severity: Warning, Object: d.Topic, Found: fmt.Sprintf("%s is %s, want %s", d.What, d.Is, d.Want), Fix: d.Fix}
		if d.What == "topic" {
			f.Found = "the topic is missing"
		}
		if promises[d.What] {
			f.Severity = Critical
		}
		out = append(out, f)
	}
	return out, nil
}
