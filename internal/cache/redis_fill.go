package cache

import (
	"context"
	"errors"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"
)

const (
	// fillers is how many partitions of a window are filled at the same time, each on
	// a connection of its own: while one waits for an answer, Redis works for others.
	fillers = 4
	// fillChunk is how many changes one transaction writes. It blocks Redis for about
	// 1.5 ms, and with it other services' guards; half as many cost a sixth of the
	// speed, for every transaction waits for the one before (docs/decisions/0003).
	fillChunk = 1000
)

// fill writes the changes of wide batches in plain commands, which cost Redis less
// than a script does (docs/decisions/0003). The position stays where it is: write.lua
// moves it, when all states are there. Whatever stands in the way is left to that
// script too, which says what it is; only where Redis does not answer is there an error.
func (r *Redis) fill(ctx context.Context, encoders []*encoder) []error {
	failed := make([]error, len(encoders))
	var group errgroup.Group
	group.SetLimit(fillers)
	for n, e := range encoders {
		if !e.batch.Wide || e.careful || len(e.changes) == 0 {
			continue
		}
		group.Go(func() error {
			err := r.client.Watch(ctx, func(tx *redis.Tx) error {
				err := e.fill(ctx, tx)
				if e.laid == 0 {
					_ = tx.Unwatch(ctx) // go-redis knows only of the first watch
				}
				return err
			}, e.prefix+positionName)
			var answer redis.Error
			if !errors.As(err, &answer) {
				failed[n] = classify(err)
			}
			return nil
		})
	}
	_ = group.Wait()
	return failed
}

// fill writes all changes, a chunk at a time. Each is a transaction, void if anybody
// touched the position since it was looked at.
func (e *encoder) fill(ctx context.Context, tx *redis.Tx) error {
	chunks := (len(e.changes) + fillChunk - 1) / fillChunk
	at, err := readStanding(tx.HMGet(ctx, e.prefix+positionName, standingFields...))
	k, damaged := 0, false
	for ; err == nil && !damaged && k < chunks; k++ {
		if !at.takes(e, k) {
			return nil
		}
		t := e.transaction(ctx, k, at.digest)
		if k < chunks-1 {
			t.lookAgain(ctx)
		}
		at, damaged, err = t.run(ctx, tx)
	}
	if err == nil {
		e.filled(k, damaged)
	}
	return err
}

// filled leaves to the scripts what is not written yet, or to say that states were lost.
func (e *encoder) filled(chunks int, damaged bool) {
	e.laid, e.damaged = chunks, damaged
	clear(e.changes)
	e.changes = e.changes[:0]
	e.scripts = max(1, (len(e.holds)+e.size-1)/e.size)
}

// standing is where a partition stands, as far as filling depends on it.
type standing struct {
	epoch, next, chunk string
	top                int64
	digest             Digest
	gone               bool
}

var standingFields = []string{"epoch", "next", "chunk", "gone", "top", "digest"}

func readStanding(cmd *redis.SliceCmd) (at standing, _ error) {
	pos, err := cmd.Result()
	if err != nil {
		return at, err
	}
	text := func(i int) string { s, _ := pos[i].(string); return s }
	at = standing{epoch: text(0), next: text(1), chunk: text(2), gone: pos[3] != nil}
	at.top, _ = strconv.ParseInt(text(4), 10, 64) // absent is 0, as in mark.lua
	digest, _ := strconv.ParseUint(text(5), 10, 64)
	at.digest = Digest(digest)
	return at, nil
}

// takes says whether the batch's k-th chunk may be written blind: what write.lua asks.
func (at *standing) takes(e *encoder, k int) bool {
	switch b := e.batch; {
	case at.gone || at.epoch != itoa(b.Epoch) || at.next != itoa(b.From) || strings.HasSuffix(at.chunk, "?"):
		return false
	case k == 0:
		return b.From >= at.top
	default:
		return at.chunk == e.mark(k-1)
	}
}

// mark says in the position that a chunk of this attempt is there, and more follow.
func (e *encoder) mark(k int) string { return e.attempt + ":" + itoa(int64(k)) + "+" }
