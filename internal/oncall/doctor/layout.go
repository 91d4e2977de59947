package doctor

import (
	"context"
	"errors"
	"fmt"

	"github.com/kelisim/kelisim/internal/cache"
)

// checkLayout finds services that fold another topic, generation or number of
// partitions than this configuration names: they answer, from another log.
func checkLayout(ctx context.Context, e *Env) ([]Finding, error) {
	client, err := e.Redis()
	if err != nil {
		return nil, err
	}
	partitions, err := e.partitions()
	if err != nil {
		return nil, err
	}
	var out []Finding
	for _, s := range e.Services {
		l, err := cache.LayoutOf(ctx, client, s.Name)
		if errors.Is(err, cache.ErrNoLayout) {
			continue // checkApplying says so
		}
		if err != nil {
			return out, err
		}
		for _, d := range []struct {
			what     string
			is, want any
		}{
			{"topic", l.Topic, e.Topics.Events},
			{"generation", l.Generation, e.Generation},
			{"partitions", l.Partitions, partitions},
		} {
			if d.is != d.want {
				out = append(out, Finding{
					Severity: Critical, Object: s.Name,
					Found: fmt.Sprintf("its cache was folded from %s %v, and %v is configured", d.what, d.is, d.want),
					Fix:   "find out which of the two is right and set topics.* everywhere alike; another generation means a new cache: consentctl topics generation new",
				})
			}
		}
	}
	return out, nil
}
