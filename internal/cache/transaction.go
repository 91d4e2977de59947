package cache

import (
	"context"

	"github.com/redis/go-redis/v9"
)

// transaction is one chunk on its way.
type transaction struct {
	key     string // of the position
	cmds    []redis.Cmder
	exec    *redis.SliceCmd
	after   *redis.SliceCmd // where the partition stands then, and is watched again
	buckets int             // the last of the commands
	unseen  int64           // fields that are new, by what the caller knows
}

// transaction encodes the k-th chunk: the position's note of it, the outbox, and the
// buckets, in this order.
func (e *encoder) transaction(ctx context.Context, k int, digest Digest) *transaction {
	first := k * fillChunk
	changes := slice(e.changes, k, fillChunk)
	texts, places, sum := e.texts[first:], e.places.list[first:], e.sum(changes)
	t := &transaction{key: e.prefix + positionName, exec: redis.NewSliceCmd(ctx, "exec"), unseen: int64(sum.unseen)}
	queue := func(begin int) {
		t.cmds = append(t.cmds, redis.NewStatusCmd(ctx, e.args[begin:len(e.args):len(e.args)]...))
	}
	t.cmds = append(t.cmds, redis.NewStatusCmd(ctx, "multi"), redis.NewStatusCmd(ctx, "hset", t.key,
		"chunk", e.mark(k), "top", itoa(e.batch.To), "digest", itoa(int64((digest+sum.digest)&digestMask))))
	if begin := len(e.args); sum.act > 0 {
		e.args = append(e.args, "zadd", e.prefix+outboxName, "LT")
		for i := range changes {
			if changes[i].Act {
				e.args = append(e.args, &texts[i].score, &texts[i].member)
			}
		}
		queue(begin)
	}
	for i := 0; i < len(changes); t.buckets++ {
		begin, bucket := len(e.args), places[i].number
		e.args = append(e.args, "hset", &places[i].bucket)
		for ; i < len(changes) && places[i].number == bucket; i++ {
			e.args = append(e.args, &places[i].field, &texts[i].state)
		}
		queue(begin)
	}
	t.cmds = append(t.cmds, t.exec)
	return t
}

// lookAgain has the transaction followed by a look at the position, for the next one.
func (t *transaction) lookAgain(ctx context.Context) {
	args := []any{"hmget", t.key}
	for _, field := range standingFields {
		args = append(args, field)
	}
	t.after = redis.NewSliceCmd(ctx, args...)
	t.cmds = append(t.cmds, redis.NewStatusCmd(ctx, "watch", t.key), t.after)
}

// run sends the transaction, and returns where the partition stands after it. It is
// damaged if more is new than the caller knew of, or where a command met a key of
// another type: that one fails alone, and all others are done.
func (t *transaction) run(ctx context.Context, tx *redis.Tx) (at standing, damaged bool, _ error) {
	pipe := tx.Pipeline()
	for _, cmd := range t.cmds {
		_ = pipe.Process(ctx, cmd)
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return at, false, err
	}
	answers, added := t.exec.Val(), int64(0)
	for i, answer := range answers {
		n, ok := answer.(int64)
		if !ok {
			return at, true, nil
		}
		if i >= len(answers)-t.buckets {
			added += n
		}
	}
	if added != t.unseen {
		return at, true, nil
	}
	if t.after != nil {
		var err error
		at, err = readStanding(t.after)
		return at, false, err
	}
	return at, false, nil
}
