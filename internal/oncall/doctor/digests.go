package doctor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/kelisim/kelisim/internal/cache"
)

const (
	// meetFor is how long services are waited for to stand at the same position:
	// between two events all do.
	meetFor = 3 * time.Second
	// meetEvery is how often it is looked meanwhile, each time at all partitions.
	meetEvery = 5 * time.Millisecond
)

// inspectors returns the services' caches that are there and fold the configured log.
func (e *Env) inspectors(ctx context.Context) (all []*cache.Inspector, err error) {
	client, err := e.Redis()
	if err != nil {
		return nil, err
	}
	for _, s := range e.Services {
		l, err := cache.LayoutOf(ctx, client, s.Name)
		if errors.Is(err, cache.ErrNoLayout) {
			continue // checkApplying says so
		}
		if err != nil {
			return nil, err
		}
		if l.Topic == e.Topics.Events && l.Generation == e.Generation {
			all = append(all, cache.NewInspector(client, l))
		}
	}
	return all, nil
}

// checkDigests finds services that hold different states though they stand at the
// same position: one of them is wrong. Whose states are damaged by hand is not found
// so, since a digest is of what was folded: verify finds that.
func checkDigests(ctx context.Context, e *Env) ([]Finding, error) {
	caches, err := e.inspectors(ctx)
	if err != nil || len(caches) == 0 {
		return nil, err
	}
	m := meeting{stood: make(map[spot]map[string]cache.Digest), met: make(map[string]bool), told: make(map[string]bool)}
	pace := time.NewTicker(meetEvery)
	defer pace.Stop()
	for began := time.Now(); time.Since(began) < meetFor && len(m.met) < len(caches)*(len(caches)-1)/2*int(caches[0].Layout().Partitions); {
		for _, c := range caches {
			if err := m.look(ctx, c); err != nil {
				return m.out, err
			}
		}
		select {
		case <-pace.C:
		case <-ctx.Done():
			return m.out, context.Cause(ctx)
		}
	}
	return m.out, nil
}

type spot struct {
	partition int32
	next      int64
}

// meeting is who stood where.
type meeting struct {
	stood map[spot]map[string]cache.Digest // by service
	met   map[string]bool
	told  map[string]bool
	out   []Finding
}

func (m *meeting) look(ctx context.Context, c *cache.Inspector) error {
	l := c.Layout()
	ids := make([]int32, l.Partitions)
	for i := range ids {
		ids[i] = int32(i)
	}
	all, err := c.Spots(ctx, ids...)
	if err != nil {
		return err
	}
	for _, p := range ids {
		switch s := all[p]; {
		case !s.Known || s.Midway:
		case s.Torso:
			m.tell(l.Service, p, "it was built from a log that had lost its beginning: every guard of it denies",
				"consentctl rebuild "+l.Service+" (docs/operations.md, Rebuild a cache)")
		default:
			m.compare(l.Service, spot{p, s.Next}, s.Digest)
		}
	}
	return nil
}

func (m *meeting) compare(service string, at spot, digest cache.Digest) {
	for other, theirs := range m.stood[at] {
		if other == service {
			continue
		}
		m.met[fmt.Sprint(min(service, other), max(service, other), at.partition)] = true
		if theirs != digest {
			m.tell(min(service, other)+" and "+max(service, other), at.partition,
				fmt.Sprintf("they keep different digests at the same position, %d: one of them is wrong", at.next),
				"consentctl verify says which, consentctl rebuild mends it")
		}
	}
	if m.stood[at] == nil {
		m.stood[at] = make(map[string]cache.Digest)
	}
	m.stood[at][service] = digest
}

// tell says it once for each object.
func (m *meeting) tell(who string, partition int32, found, fix string) {
	object := fmt.Sprintf("%s/%d", who, partition)
	if !m.told[object] {
		m.told[object] = true
		m.out = append(m.out, Finding{Severity: Critical, Object: object, Found: found, Fix: fix})
	}
}

// checkStaged finds what a rebuild left that was killed: it takes memory.
func checkStaged(ctx context.Context, e *Env) ([]Finding, error) {
	caches, err := e.inspectors(ctx)
	if err != nil {
		return nil, err
	}
	client, err := e.Redis()
	if err != nil {
		return nil, err
	}
	var out []Finding
	for _, c := range caches {
		left, running, err := cache.Staged(ctx, client, c.Layout())
		if err != nil {
			return out, err
		}
		if len(left) > 0 && !running {
			out = append(out, Finding{
				Severity: Warning, Object: c.Layout().Service, Found: fmt.Sprintf("a rebuild that was killed left keys in partitions %v: they take memory", left),
				Fix: "the next consentctl rebuild " + c.Layout().Service + " of these partitions removes them, also without --apply",
			})
		}
	}
	return out, nil
}

// checkLogStart finds partitions that have lost their beginning. After ten years that
// is how it has to be: then caches are built from snapshots.
func checkLogStart(ctx context.Context, e *Env) ([]Finding, error) {
	admin, err := e.Admin()
	if err != nil {
		return nil, err
	}
	all, err := admin.Offsets(ctx, e.Topics.Events)
	if err != nil {
		return nil, err
	}
	var out []Finding
	for p := range int32(len(all)) {
		if first := all[p].First; first > 0 {
			out = append(out, Finding{
				Severity: Warning, Object: fmt.Sprintf("%s/%d", e.Topics.Events, p),
				Found: fmt.Sprintf("begins at %d: a cache that is lost cannot be built from the log alone, and its guards deny until it is rebuilt from snapshots", first),
				Fix:   "keep consentd snapshots running; if retention has not come to that yet, find out who deleted records, and restore the topic",
			})
		}
	}
	return out, nil
}
