package doctor

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/kelisim/kelisim/consumers"
	"github.com/kelisim/kelisim/events/stream"
)

// checkParked counts what stands in the parked topic, by service and reason.
func checkParked(ctx context.Context, e *Env) ([]Finding, error) {
	type pile struct{ service, reason string }
	piles := make(map[pile]int)
	err := e.Read(ctx, e.Topics.Parked, func(r *stream.Record) error {
		var p pile
		for headers := r.Headers; headers.Len() > 0; {
			switch name, value := headers.Next(); string(name) {
			case consumers.HeaderParkedService:
				p.service = string(value)
			case consumers.HeaderParkedReason:
				p.reason = string(value)
			}
		}
		piles[p]++
		return nil
	})
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
