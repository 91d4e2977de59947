package doctor

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/kelisim/kelisim/events/cloudevent"
	"github.com/kelisim/kelisim/internal/oncall/logread"
	"github.com/kelisim/kelisim/internal/oncall/parked"
)

// checkParked counts the parked events that nobody has redriven or dismissed, by
// the services that parked them and the reason.
func checkParked(ctx context.Context, e *Env) ([]Finding, error) {
	log, err := logread.New(e.Kafka)
	if err != nil {
		return nil, err
	}
	rules, err := e.Rules(ctx)
	if err != nil {
		return nil, err
	}
	partitions, err := e.partitions()
	if err != nil {
		return nil, err
	}
	desk := parked.Desk{
		Log: log, Rules: rules, Decoder: cloudevent.Decoder{Rules: rules},
		Topics: parked.Topics{Events: e.Topics.Events, Parked: e.Topics.Parked, Generation: e.Generation, Partitions: partitions},
	}
	cases, _, err := desk.Cases(ctx)
	if err != nil {
		return nil, err
	}
	type pile struct{ services, reasons string }
	piles := make(map[pile]int)
	for _, c := range cases {
		if c.State() == parked.Open {
			piles[pile{strings.Join(c.Services(), ","), strings.Join(c.Reasons(), ",")}]++
		}
	}
	var out []Finding
	for _, p := range slices.SortedFunc(maps.Keys(piles), func(a, b pile) int {
		return cmp.Or(cmp.Compare(a.services, b.services), cmp.Compare(a.reasons, b.reasons))
	}) {
		out = append(out, Finding{
			Severity: Warning, Object: p.services,
			Found: fmt.Sprintf("%d parked for %s and still open; their subjects may be held, which denies them everything", piles[p], p.reasons),
			Fix:   "consentctl parked list; redrive what was mended and dismiss the rest",
		})
	}
	return out, nil
}
