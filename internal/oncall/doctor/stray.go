package doctor

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/kelisim/kelisim/internal/oncall/topics"
)

// family begins the names of all topics of Kelisim.
const family = "consent"

// checkStray finds topics that look like ours and are not, with records in them:
// somebody writes withdrawals where nobody reads.
func checkStray(ctx context.Context, e *Env) ([]Finding, error) {
	all, wanted, err := e.described(ctx)
	if err != nil {
		return nil, err
	}
	ours := make(map[string]bool)
	for _, t := range wanted {
		ours[t.Name] = true
	}
	for g := uint32(1); g < e.Generation; g++ { // kept for as long as the law asks
		ours[topics.NameOf(e.Topics.Events, g)], ours[topics.NameOf(e.Topics.State, g)] = true, true
	}
	admin, err := e.Admin()
	if err != nil {
		return nil, err
	}
	var out []Finding
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if ours[name] || all[name].Internal || !strings.HasPrefix(strings.ToLower(name), family) {
			continue
		}
		offsets, err := admin.Offsets(ctx, name)
		if err != nil {
			return out, err
		}
		records := int64(0)
		for _, o := range offsets {
			records += o.End - o.First
		}
		if records > 0 {
			out = append(out, Finding{
				Severity: Warning, Object: name,
				Found: fmt.Sprintf("holds %d records, and no service reads it", records),
				Fix: fmt.Sprintf("find who writes there and send them to %s; if events are among the records, publish them again: "+
					"consentctl publish; then delete the topic", e.Topics.Events),
			})
		}
	}
	return out, nil
}
