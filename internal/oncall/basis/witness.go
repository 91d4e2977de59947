package basis

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/snapshot"
	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/internal/cache"
	"github.com/kelisim/kelisim/internal/oncall/fold"
)

const (
	// DefaultPatience is how long a service is waited for that is not yet past what
	// the snapshots know: a running one needs milliseconds.
	DefaultPatience = 5 * time.Second
	// lookEvery is how often it is looked meanwhile.
	lookEvery = 20 * time.Millisecond
)

// Spots tells where a partition of a service stands. [cache.Inspector] is one.
type Spots interface {
	Layout() cache.Layout
	Spots(ctx context.Context, partitions ...int32) ([]cache.Spot, error)
}

// Sources are what a witness is looked for in. All of it but Patience is required.
type Sources struct {
	State, Log func() (*stream.Reader, error) // readers of the two topics, opened anew
	Rules      *events.Rules
	Layout     cache.Layout // of the services, but for the name
	Services   []Spots
	Limit      int           // states in memory at a time
	Patience   time.Duration // how long a service is waited for; 0: DefaultPatience
}

// Mark is what snapshots and log come to where one service stood, and what the
// service keeps. The zero Mark says nothing.
type Mark struct {
	Known     bool
	At        int64
	Is, Keeps cache.Digest
}

// Witness folds the snapshots of a partition and the log behind them to where the
// services stand, in their order, and returns what it comes to there. It says why
// the snapshots are not to be believed: they are of no use, there are more subjects
// than the limit, or no service ever had the same digest.
func Witness(ctx context.Context, from *Sources, partition int32) (marks []Mark, why string, err error) {
	w := &witness{Sources: from, partition: partition, marks: make([]Mark, len(from.Services))}
	w.fold = fold.New(fold.Config{Rules: from.Rules, Layout: from.Layout, Limit: from.Limit}, partition, fold.Whole(from.Layout), 0)
	why, err = w.run(ctx)
	if errors.Is(err, fold.ErrCrowd) {
		return nil, fmt.Sprintf("it has more subjects than %d, which are kept in memory at a time", from.Limit), nil
	}
	return w.marks, why, err
}

type witness struct {
	*Sources
	partition int32
	log       *stream.Reader
	fold      *fold.Fold
	basis     Basis
	marks     []Mark
}

func (w *witness) run(ctx context.Context) (why string, err error) {
	state, err := w.State()
	if err != nil {
		return "", err
	}
	defer state.Close()
	if w.log, err = w.Log(); err != nil {
		return "", err
	}
	defer w.log.Close()
	if w.basis, why, err = Seed(ctx, state, w.fold, w.Layout.Generation, w.log.Offsets, nil); why != "" || err != nil {
		return why, err
	}
	pace := time.NewTicker(lookEvery)
	defer pace.Stop()
	for began := time.Now(); ; {
		agrees, all, err := w.look(ctx)
		switch {
		case err != nil || agrees:
			return "", err
		case all:
			return w.alone(), nil
		case time.Since(began) > cmp.Or(w.Patience, DefaultPatience):
			return w.alone(), nil
		}
		select {
		case <-pace.C:
		case <-ctx.Done():
			return "", context.Cause(ctx)
		}
	}
}

// look compares with every service that is past what the snapshots know, and says
// whether one agrees, and whether there is none left to wait for.
func (w *witness) look(ctx context.Context) (agrees, all bool, err error) {
	all = true
	var order []int
	for i, c := range w.Services {
		spots, err := c.Spots(ctx, w.partition)
		if err != nil {
			return false, false, err
		}
		s := spots[0]
		if w.marks[i] = (Mark{At: s.Next, Keeps: s.Digest}); !s.Known || s.Torso { // of half a log: it bears out what has lost the same
			continue
		}
		if s.Midway || s.Next < max(w.basis.Top, w.fold.Next) {
			all = false
			continue
		}
		order = append(order, i)
	}
	offsets, err := w.log.Offsets(ctx, w.partition) // behind where the services stood
	if err != nil {
		return false, false, err
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(w.marks[a].At, w.marks[b].At) })
	for _, i := range order {
		m := &w.marks[i]
		if m.At > offsets[w.partition].End {
			continue // it is ahead of the log: another's
		}
		if err := w.advance(ctx, m.At); err != nil {
			return false, false, err
		}
		m.Known, m.Is = true, w.fold.Digest()
		agrees = agrees || m.Is == m.Keeps && w.Services[i].Layout().Service != snapshot.Writer // who wrote them bears nothing out
	}
	return agrees, all, nil
}

// advance folds on to a position.
func (w *witness) advance(ctx context.Context, to int64) error {
	if to <= w.fold.Next {
		return nil
	}
	err := w.log.Read(ctx, map[int32]stream.Range{w.partition: {From: w.fold.Next, To: to}}, func(b *stream.Batch) error {
		return w.fold.Records(b.Records)
	})
	w.fold.Next = to // also where control batches stand at the end
	return err
}

// alone says why nobody bears the snapshots out.
func (w *witness) alone() string {
	for i := range w.marks {
		if m := &w.marks[i]; m.Known && m.Is != m.Keeps {
			return fmt.Sprintf("no service bears the snapshots out: at %d they give the digest %012x, and %s keeps %012x",
				m.At, uint64(m.Is), w.Services[i].Layout().Service, uint64(m.Keeps))
		}
	}
	return "no service stands behind the snapshots to bear them out"
}
