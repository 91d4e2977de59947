package cluster

import (
	"context"

	"github.com/kelisim/kelisim/events/policy"
	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/internal/policyfeed"
)

// Skipped is a record of the topic of policies that changes nothing: it cannot be
// read, or contradicts an earlier one.
type Skipped struct {
	Offset int64
	Reason string // policyfeed.ReasonOf
	Err    error
}

// Policies reads every version of the policy that the log holds, by the rule that
// services follow, and what they skip: one bad record must not take the tool away
// from whoever is to find it.
func (k *Cluster) Policies(ctx context.Context) (*policy.Book, []Skipped, error) {
	book, skipped := new(policy.Book), []Skipped(nil)
	err := k.Read(ctx, k.Topics.Policies, func(r *stream.Record) (err error) {
		if book, _, err = policyfeed.Enter(book, r); err != nil {
			skipped = append(skipped, Skipped{r.Offset, policyfeed.ReasonOf(err), err})
		}
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	return book, skipped, nil
}

// Book returns the versions of [Cluster.Policies], and says once when records are
// skipped.
func (k *Cluster) Book(ctx context.Context) (*policy.Book, error) {
	book, skipped, err := k.Policies(ctx)
	if n := len(skipped); n > 0 {
		k.skipped.Do(func() {
			k.Logger.Warn("records on the topic of policies are skipped, as services do; see consentctl doctor --only policies",
				"topic", k.Topics.Policies, "records", n, "first", skipped[0].Offset, "err", skipped[0].Err)
		})
	}
	return book, err
}
