package doctor

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/kelisim/kelisim/events/cloudevent"
	"github.com/kelisim/kelisim/internal/oncall/logread"
	"github.com/kelisim/kelisim/internal/oncall/parked"
)

// checkParked counts the parked events that are open, by service and reason.
func checkParked(ctx context.Context, e *Env) ([]Finding, error) {
	type pile struct{ service, reason string }
	log, err := logread.New(e.Kafka)
	if err != nil {
		return nil, err
	}
	rules, err := e.Rules(ctx)
	if err != nil {
		return nil, err
	}
	desk := &parked.Desk{
		Log: log, Decoder: cloudevent.Decoder{Rules: rules},
		Topics: parked.Topics{Parked: e.Topics.Parked, Events: e.Topics.Events, Generation: e.Generation},
	}
	cases, _, err := desk.Cases(ctx)
	piles := make(map[pile]int)
	for _, c := range cases {
		for _, service := range c.Services() {
			if c.State() == parked.Open {
				piles[pile{service, c.ReasonIn(service)}]++
			}
		}
	}
	var out []Finding
	for _, p := range slices.SortedFunc(maps.Keys(piles), func(a, b pile) int {
		return cmp.Or(cmp.Compare(a.service, b.service), cmp.Compare(a.reason, b.reason))
	}) {
		out = append(out, Finding{
			Severity: Warning, Object: p.service,
			Found: fmt.Sprintf("%d events are parked as %s; subjects may be held, which denies them everything", piles[p], p.reason),
			Fix:   "consentctl parked list, then redrive what was mended and dismiss the rest",
		})
	}
	return out, err
}
