// Package verify compares what the services hold with what the log says: it folds
// the log as they do, partition by partition, and names every difference.
//
// It runs beside live traffic. A service's cache is compared at a position that it
// is known to have reached, and what does not look right is looked at again, after
// the fold has followed. So a difference is named only when the log forbids it in any
// order of the two reads. A service that is behind is not wrong: what it has not
// applied yet is counted, not judged.
//
// A part of the log ([window.Window]) chooses people: those who have an event in it.
// They are judged by their whole history, as everybody is, for a fold of a mere part
// is nobody's state; nobody else is. Partitions without a record in it are not read.
//
// Its memory is bounded by Config.States, whatever the topic's size; see package fold.
package verify

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/internal/cache"
	"github.com/kelisim/kelisim/internal/oncall/basis"
	"github.com/kelisim/kelisim/internal/oncall/cluster"
	"github.com/kelisim/kelisim/internal/oncall/exit"
	"github.com/kelisim/kelisim/internal/oncall/fold"
	"github.com/kelisim/kelisim/internal/oncall/progress"
	"github.com/kelisim/kelisim/internal/oncall/window"
)

// DefaultStates is how many states are kept at a time, at some 300 bytes each.
const DefaultStates = 2_000_000

// Config says what is compared.
type Config struct {
	Services []string      // empty: every service that Redis holds
	Window   window.Window // who is compared; zero: everybody
	States   int           // kept at a time, over all partitions under way; 0: DefaultStates
	Workers  int           // partitions at a time; 0: one for each processor
	Patience time.Duration // with services that could bear snapshots out, or each other; 0: basis.DefaultPatience
	Raw      bool          // read the log once without folding, too, and say how fast that was

	Progress progress.Progress // nil: none
	Found    func(Difference)  // called with each difference, one at a time; nil: they are counted alone
}

// verifier is one comparison at work.
type verifier struct {
	Config
	cluster *cluster.Cluster
	rules   *events.Rules
	caches  []*cache.Inspector // one for each service, all of one layout
	others  []*cache.Inspector // services of the same layout that are not compared: they may witness
	parts   map[int32]window.Part

	mu      sync.Mutex // of what follows, and of Found
	report  *Report
	strays  []stray
	foreign []foreign
	read    map[int32]*Partition
	events  atomic.Int64
}

// Run compares. Where something differs, or somebody cannot be judged, the error is [exit.ErrFindings].
func Run(ctx context.Context, k *cluster.Cluster, cfg Config) (*Report, error) {
	if cfg.States == 0 {
		cfg.States = DefaultStates
	}
	if cfg.Workers == 0 {
		cfg.Workers = runtime.GOMAXPROCS(0)
	}
	if cfg.Progress == nil {
		cfg.Progress = progress.None()
	}
	v := &verifier{Config: cfg, cluster: k, report: newReport(), read: make(map[int32]*Partition)}
	if err := v.open(ctx); err != nil {
		return nil, err
	}
	total, err := v.extent(ctx)
	if err != nil {
		return nil, err
	}
	if v.Raw {
		if err := v.readRaw(ctx, slices.Sorted(maps.Keys(total))); err != nil {
			return nil, err
		}
	}
	began := time.Now()
	if err := v.all(ctx, total); err != nil {
		return nil, err
	}
	if v.Window.Bounded() && v.report.Records == 0 {
		return nil, window.Nothing()
	}
	if err := v.compareStrays(ctx); err != nil {
		return nil, err
	}
	v.report.finish(v.events.Load(), time.Since(began))
	if v.report.Differences > 0 || v.report.Unjudged > 0 || len(v.report.Cut) > 0 {
		return v.report, exit.ErrFindings
	}
	return v.report, nil
}

// open finds the services. All have to follow this log, laid out alike.
func (v *verifier) open(ctx context.Context) error {
	layouts, err := v.cluster.Services(ctx, v.Services...)
	if err != nil {
		return err
	}
	if err := v.cluster.FoldedHere(ctx, layouts); err != nil {
		return err
	}
	client, err := v.cluster.Redis()
	if err != nil {
		return err
	}
	if v.rules, err = v.cluster.Rules(ctx); err != nil {
		return err
	}
	for _, l := range layouts {
		if l.Topic != v.cluster.Topics.Events || l.Generation != v.cluster.Generation {
			return fmt.Errorf("service %s follows topic %s, generation %d, and not %s, generation %d: leave it out with --service",
				l.Service, l.Topic, l.Generation, v.cluster.Topics.Events, v.cluster.Generation)
		}
		if first := layouts[0]; l.Partitions != first.Partitions || l.Buckets != first.Buckets {
			return fmt.Errorf("services %s and %s are laid out otherwise: compare them one by one with --service", first.Service, l.Service)
		}
		v.caches = append(v.caches, cache.NewInspector(client, l))
	}
	all, err := v.cluster.Services(ctx)
	for _, l := range all {
		named := slices.Contains(layouts, l)
		if alike := l; !named {
			if alike.Service = layouts[0].Service; alike == layouts[0] {
				v.others = append(v.others, cache.NewInspector(client, l))
			}
		}
	}
	return err
}

func (v *verifier) layout() cache.Layout { return v.caches[0].Layout() }

// all compares the partitions, the largest first, so that none is left to one
// processor at the end.
func (v *verifier) all(ctx context.Context, total map[int32]int64) error {
	v.Progress.Start(total)
	defer v.Progress.Done()
	order := slices.SortedFunc(maps.Keys(total), func(a, b int32) int { return int(min(1, max(-1, total[b]-total[a]))) })
	next := make(chan int32, len(order))
	for _, p := range order {
		next <- p
	}
	close(next)
	workers := min(v.Config.Workers, len(order))
	g, ctx := errgroup.WithContext(ctx)
	for range workers {
		g.Go(func() error {
			reader, err := v.cluster.Reader(v.cluster.Topics.Events)
			if err != nil {
				return err
			}
			defer reader.Close()
			for p := range next {
				if err := v.partition(ctx, reader, p, max(1, v.States/workers)); err != nil {
					return fmt.Errorf("partition %d: %w", p, err)
				}
			}
			return nil
		})
	}
	return g.Wait()
}

// partition compares one partition, a share at a time.
func (v *verifier) partition(ctx context.Context, reader *stream.Reader, id int32, limit int) error {
	result := &Partition{Partition: id, caches: v.caches, Source: FromLog}
	if v.Window.Bounded() {
		result.Window = &Part{From: v.parts[id].From, To: v.parts[id].To}
	}
	if err := v.choose(ctx, reader, result, limit); err != nil {
		return err
	}
	var last *pass
	for share, more := fold.Whole(v.layout()), true; more; {
		p := &pass{verifier: v, reader: reader, result: result, limit: limit}
		err := p.run(ctx, share)
		switch {
		case errors.Is(err, fold.ErrCrowd) && !share.Last():
			share = share.Lower()
			continue
		case err != nil:
			return err
		}
		last = p
		share, more = share.Rest()
	}
	if result.Window != nil && result.Window.Records == 0 {
		return nil // it has offsets, and nobody's
	}
	if !result.whole() && !v.partial() {
		if err := v.compareDigests(ctx, result); err != nil {
			return err
		}
	}
	v.conclude(result, last)
	v.mu.Lock()
	defer v.mu.Unlock()
	v.read[id] = result
	v.report.add(result)
	return nil
}

// choose decides what a partition is judged by: the log, unless it has lost its
// beginning and snapshots can stand in.
func (v *verifier) choose(ctx context.Context, reader *stream.Reader, result *Partition, limit int) error {
	offsets, err := reader.Offsets(ctx, result.Partition)
	if err != nil {
		return err
	}
	if result.From = offsets[result.Partition].First; result.From == 0 {
		return nil
	}
	from := &basis.Sources{
		State: func() (*stream.Reader, error) { return v.cluster.Reader(v.cluster.Topics.State) },
		Log:   func() (*stream.Reader, error) { return v.cluster.Reader(v.cluster.Topics.Events) },
		Rules: v.rules, Layout: v.layout(), Limit: limit, Patience: v.Patience,
	}
	for _, c := range slices.Concat(v.caches, v.others) {
		from.Services = append(from.Services, c)
	}
	var marks []basis.Mark
	if marks, result.Why, err = basis.Witness(ctx, from, result.Partition); err != nil || result.Why != "" {
		return err
	}
	result.Source = FromSnapshots
	if result.Window != nil {
		return nil // the digests are of everybody
	}
	for _, m := range marks[:len(v.caches)] {
		result.marks = append(result.marks, mark{at: m.At, known: m.Known, log: m.Is, keeps: m.Keeps})
	}
	return nil
}

// readRaw reads the log as the comparison will, and does nothing with it.
func (v *verifier) readRaw(ctx context.Context, partitions []int32) error {
	began, read := time.Now(), atomic.Int64{}
	g, ctx := errgroup.WithContext(ctx)
	for w := range v.Config.Workers {
		g.Go(func() error {
			for i, p := range partitions {
				if i%v.Config.Workers != w {
					continue
				}
				err := v.cluster.ReadShown(ctx, v.cluster.Topics.Events, progress.None(), func(*stream.Record) error {
					read.Add(1)
					return nil
				}, p)
				if err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	if took := time.Since(began).Seconds(); took > 0 {
		v.report.RawRate = float64(read.Load()) / took
	}
	return nil
}
