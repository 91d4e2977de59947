package rebuild

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kelisim/kelisim/events/snapshot"
	"github.com/kelisim/kelisim/internal/cache"
)

const (
	// verifyFor is how long a cache is waited for that stood at a position where the
	// staged one stood too: between two events all do.
	verifyFor = 15 * time.Second
	// hearFor is how long the other caches are waited for when one has agreed: each
	// may contradict it, and one that stands still never comes by.
	hearFor = 2 * time.Second
)

// witness is a cache that may bear out what was built, or contradict it.
type witness struct {
	*cache.Inspector
	own     bool // it is the live one, which is to be replaced: suspect
	copied  bool // what was built is a copy of what it wrote
	stood   map[int64]cache.Digest
	torso   bool // of half a log: it will not come by
	agrees  bool
	differs string // from what was built, and where
}

func (w *witness) name() string { return w.Layout().Service }

// witnesses are the caches that may be asked: the live one and those of other
// services. A digest is that of what a cache once folded, whatever became of the
// states since.
func (p *part) witnesses() []*witness {
	all := []*witness{{Inspector: p.cfg.Live, own: true}}
	for _, other := range p.cfg.Witnesses {
		all = append(all, &witness{Inspector: other, copied: p.report.Source == FromSnapshots && other.Layout().Service == snapshot.Writer})
	}
	for _, w := range all {
		w.stood = make(map[int64]cache.Digest)
	}
	return all
}

// verify compares the staged digest with those of the caches that stand, or stood
// a moment ago, at the same position, and enters in the report who agrees. Whoever
// differs vetoes it, but for the live one where others agree: it is what is to be
// mended. The live one is enough only where there is no other, and who wrote the
// snapshots is not enough for a copy of them.
func (p *part) verify(ctx context.Context) error {
	all, ours := p.witnesses(), make(map[int64]cache.Digest)
	var heard time.Time // when somebody agreed who is enough
	verdict := func() {
		p.report.Verified, p.report.Unverified, p.report.Unheard = judge(all)
	}
	err := wait(ctx, min(verifyFor, p.cfg.Patience), fmt.Sprintf("partition %d is verified", p.id), func() (bool, error) {
		_, staged, err := p.stand(ctx)
		if err != nil {
			return true, err
		}
		if !staged.Midway {
			ours[staged.Next] = staged.Digest
		}
		waits := false
		for _, w := range all {
			if err := w.look(ctx, p.id, ours); err != nil {
				return true, err
			}
			if w.differs != "" && !w.own {
				return true, nil
			}
			waits = waits || !w.agrees && w.differs == "" && !w.torso
		}
		if verdict(); p.report.Unverified != "" {
			return !waits, nil
		}
		if heard.IsZero() {
			heard = time.Now()
		}
		return !waits || time.Since(heard) > hearFor, nil
	})
	if err != nil && !errors.Is(err, errPatience) {
		return err
	}
	verdict()
	return nil
}

// look notes where the cache stands, and whether it has what was built there.
func (w *witness) look(ctx context.Context, partition int32, ours map[int64]cache.Digest) error {
	spot, err := spots(ctx, w.Inspector, partition)
	if err != nil {
		return err
	}
	w.torso = spot.Known && spot.Torso
	if spot.Known && !spot.Torso && !spot.Midway {
		w.stood[spot.Next] = spot.Digest
	}
	for at, digest := range w.stood {
		own, met := ours[at]
		switch {
		case met && own == digest:
			w.agrees = true
		case met:
			w.differs = fmt.Sprintf("its digest at %d is %012x, and that of %s is %012x", at, uint64(own), w.name(), uint64(digest))
		}
	}
	return nil
}

// judge says who bears out what was built, or why that does not do, and who was
// not heard.
func judge(all []*witness) (verified []string, why string, unheard []string) {
	others, enough := false, false
	for _, w := range all {
		switch {
		case w.differs != "" && !w.own:
			return nil, w.differs, nil
		case w.differs != "":
			why = w.differs
		case w.agrees:
			verified = append(verified, w.name())
		default:
			unheard = append(unheard, w.name())
		}
		others = others || !w.own && !w.copied
	}
	for _, w := range all {
		enough = enough || w.agrees && w.differs == "" && !w.copied && w.own != others
	}
	switch {
	case enough:
		return verified, "", unheard
	case why != "":
	case len(verified) > 0 && others:
		why = fmt.Sprintf("only %s had the same digest, and of the others none stood at the same position", strings.Join(verified, " and "))
	case slices.ContainsFunc(all, func(w *witness) bool { return w.agrees }):
		why = fmt.Sprintf("only %s had the same digest, which wrote the snapshots", strings.Join(verified, " and "))
	default:
		why = "no other cache stood at the same position"
	}
	return nil, why, unheard
}
