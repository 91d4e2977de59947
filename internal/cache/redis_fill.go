package cache

import (
	"cmp"
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
	// fillChunk is how many changes one transaction writes, of some 1.6 µs each. Redis
	// answers nobody meanwhile, other services' guards neither; and every transaction
	// waits for the one before, so fewer cost speed (docs/decisions/0003).
	fillChunk = 1000
)

// mayTransact says whether the user may use transactions. Where WATCH is let through
// and MULTI is not, their commands would be done alone.
func (r *Redis) mayTransact(ctx context.Context) bool {
	_, err := r.client.TxPipelined(ctx, func(pipe redis.Pipeliner) error {
		return pipe.HLen(ctx, layoutKey(r.layout.Service)).Err()
	})
	return !redis.HasErrorPrefix(err, "NOPERM")
}

// fill writes the changes of bulk batches in plain commands, which cost Redis less
// than a script does (docs/decisions/0003). The position stays where it is: write.lua
// moves it, when all states are there. Whatever stands in the way is left to that
// script too, which says what it is. Where Redis does not answer to one, those that
// have not begun fail with it.
func (r *Redis) fill(ctx context.Context, sent []sending) {
	group, answers := errgroup.WithContext(ctx)
	group.SetLimit(fillers)
	for n := range sent {
		s := &sent[n]
		if !s.bulk {
			continue
		}
		group.Go(func() error {
			if s.failed = answers.Err(); s.failed == nil {
				s.failed = r.watch(ctx, s.encoder)
			}
			return s.failed
		})
	}
	first := group.Wait()
	for n := range sent {
		if sent[n].failed != nil {
			sent[n].failed = first
		}
	}
}

// watch lays one batch. An answer of Redis is no error.
func (r *Redis) watch(ctx context.Context, e *encoder) error {
	err := r.client.Watch(ctx, func(tx *redis.Tx) error { return e.lay(ctx, tx) }, e.prefix+positionName)
	if answer := redis.Error(nil); errors.As(err, &answer) {
		return nil
	}
	return classify(err)
}

// lay writes all changes, a chunk at a time. Each is a transaction, void if anybody
// touched the position since it was looked at.
func (e *encoder) lay(ctx context.Context, tx *redis.Tx) error {
	chunks := (len(e.changes) + fillChunk - 1) / fillChunk
	at, err := readStanding(tx.HMGet(ctx, e.prefix+positionName, standingFields...))
	k, damaged := 0, false
	for ; err == nil && !damaged && k < chunks; k++ {
		if err = ctx.Err(); err != nil || !at.takes(e, k) {
			return err
		}
		t := e.transaction(ctx, k, at.digest)
		if k < chunks-1 {
			t.lookAgain(ctx)
		}
		at, damaged, err = t.run(ctx, tx)
	}
	if err == nil {
		e.rest(k, damaged)
	}
	return err
}

// rest leaves to the scripts what is not laid, and to say that states were lost.
func (e *encoder) rest(laid int, damaged bool) {
	e.laid, e.damaged = laid, damaged
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
	top, err1 := strconv.ParseInt(cmp.Or(text(4), "0"), 10, 64)
	digest, err2 := strconv.ParseUint(cmp.Or(text(5), "0"), 10, 64)
	if err1 != nil || err2 != nil {
		return standing{}, nil // nobody's: the script says what it finds
	}
	at.top, at.digest = top, Digest(digest)
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

// mark says in the position that a chunk of this attempt is there, that more follow,
// and that nobody has looked yet whether states were lost: the script does that, or
// resolve.
func (e *encoder) mark(k int) string { return e.attempt + ":" + itoa(int64(k)) + "!+" }
