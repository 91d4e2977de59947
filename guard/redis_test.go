package guard_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/policy"
	"github.com/kelisim/kelisim/guard"
	"github.com/kelisim/kelisim/internal/cache"
	"github.com/kelisim/kelisim/internal/cache/cachetest"
	"github.com/kelisim/kelisim/internal/testenv"
	"github.com/kelisim/kelisim/internal/testpolicy"
)

// pipeline is a service's cache with one partition in use, as its consumer writes it.
type pipeline struct {
	t      testing.TB
	store  *cache.Redis
	log    *cachetest.Log
	states map[events.Subject]events.State
	mark   cache.Mark
	policy *policy.Edition
}

const partition = 2

func newPipeline(t testing.TB, server *testenv.RedisServer) *pipeline {
	client, err := cache.Connect(cache.Options{Addrs: []string{server.Addr()}})
	require.NoError(t, err)
	t.Cleanup(func() { _ = client.Close() })
	return newPipelineOn(t, client)
}

func newPipelineOn(t testing.TB, client redis.UniversalClient) *pipeline {
	store, err := cache.NewRedis(t.Context(), client, cachetest.Layout(), slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	p := &pipeline{
		t: t, store: store, log: cachetest.NewLog(cachetest.Layout(), partition, 3),
		states: map[events.Subject]events.State{}, policy: testpolicy.NewFixed(t, testpolicy.Seed(t)).Current(),
	}
	p.claim()
	return p
}

// claim takes the partition over and applies the whole log, if it is unknown.
func (p *pipeline) claim() {
	var err error
	p.mark, err = p.store.Claim(p.t.Context(), partition)
	require.NoError(p.t, err)
	catalogues, err := p.policy.Book.JSON()
	require.NoError(p.t, err)
	require.NoError(p.t, p.store.Publish(p.t.Context(), cache.Policies{
		Revision: p.policy.Revision, Grown: p.policy.Book.Grown(), Catalogues: string(catalogues),
	}))
	if p.mark.Known {
		return
	}
	p.mark, err = p.store.Begin(p.t.Context(), partition, p.mark.Epoch, 0)
	require.NoError(p.t, err)
	clear(p.states)
}

// publish appends an event of the i-th subject and applies it.
func (p *pipeline) publish(kind events.Type, i int, purposes ...events.Purpose) {
	p.log.Append(kind, i, purposes...)
	p.apply()
}

func (p *pipeline) apply() {
	b := p.log.Batch(p.states, p.mark.Epoch, p.mark.Next, int64(len(p.log.Events)))
	b.Proved, b.Policy = time.Now(), p.policy.Revision
	result := p.store.Write(p.t.Context(), []cache.Batch{b})[0]
	require.NoError(p.t, result.Err)
	p.mark = result.Mark
}

// patient is for tests that are about answers, not about waiting.
const patient = 10 * time.Second

func (p *pipeline) guard(client redis.UniversalClient) *guard.Guard {
	return guard.New(client, "marketing", guard.WithDeadline(patient), guard.WithMaxStaleness(time.Hour))
}

func TestWithdrawalIsDeniedAsSoonAsItIsApplied(t *testing.T) {
	server := testenv.Redis(t)
	p := newPipeline(t, server)
	g := p.guard(server.Client(t))
	who := p.log.Subjects[0]
	require.Equal(t, events.Stale, g.Check(t.Context(), who, "promotion").Reason, "nothing was proved yet")

	p.publish(events.Granted, 0, "promotion", "research")
	require.Equal(t, events.ByGrant, g.Check(t.Context(), who, "promotion").Reason)
	p.publish(events.Withdrawn, 0, "promotion")
	d := g.Check(t.Context(), who, "promotion")
	require.Equal(t, events.ByWithdrawal, d.Reason)
	require.Equal(t, p.log.At(1), d.By)
	require.True(t, g.Check(t.Context(), who, "research").Allowed)
	require.Equal(t, events.UnknownSubject, g.Check(t.Context(), p.log.Subjects[1], "promotion").Reason)

	require.NoError(t, p.store.Hold(t.Context(), who, p.log.At(9)))
	require.Equal(t, events.Held, g.Check(t.Context(), who, "research").Reason)
}

func TestGuardThatCameFirstLearnsTheLayout(t *testing.T) {
	server := testenv.Redis(t)
	g := guard.New(server.Client(t), "marketing", guard.WithDeadline(patient))
	d := g.Check(t.Context(), cachetest.Subjects(cachetest.Layout(), partition, 1)[0], "promotion")
	require.Equal(t, events.Stale, d.Reason)
	require.ErrorContains(t, d.Err(), "no layout is recorded")
	p := newPipeline(t, server)
	p.publish(events.Granted, 0, "promotion")
	require.True(t, g.Check(t.Context(), p.log.Subjects[0], "promotion").Allowed)
}

func TestFlushedRedisDeniesUntilRebuilt(t *testing.T) {
	server := testenv.Redis(t)
	p := newPipeline(t, server)
	g := p.guard(server.Client(t))
	p.publish(events.Granted, 0, "promotion")
	p.publish(events.Granted, 1, "promotion")
	p.publish(events.Withdrawn, 0, "promotion")
	require.True(t, g.Check(t.Context(), p.log.Subjects[1], "promotion").Allowed)

	server.Flush(t)
	deny := func() {
		for _, who := range p.log.Subjects {
			require.Equal(t, events.Stale, g.Check(t.Context(), who, "promotion").Reason)
		}
	}
	deny()
	p.claim()
	deny()
	p.mark.Next = 0
	half := p.log.Batch(p.states, p.mark.Epoch, 0, 2) // the withdrawal is not there yet
	half.Proved = time.Now()
	result := p.store.Write(t.Context(), []cache.Batch{half})[0]
	require.NoError(t, result.Err)
	deny()
	p.mark = result.Mark
	p.apply()
	require.True(t, g.Check(t.Context(), p.log.Subjects[1], "promotion").Allowed)
	require.Equal(t, events.ByWithdrawal, g.Check(t.Context(), p.log.Subjects[0], "promotion").Reason)
}

func TestRedisThatIsAwayDenies(t *testing.T) {
	server := testenv.Redis(t)
	p := newPipeline(t, server)
	p.publish(events.Granted, 0, "promotion")
	g := guard.New(server.Client(t), "marketing", guard.WithDeadline(patient))
	server.Stop(t)
	d := g.Check(t.Context(), p.log.Subjects[0], "promotion")
	require.Equal(t, events.Unreachable, d.Reason)
	require.Error(t, d.Cause)
	server.Start(t)
	require.Equal(t, events.Stale, g.Check(t.Context(), p.log.Subjects[0], "promotion").Reason, "it came back empty")
}

func TestServerThatNeverAnswersDeniesAtTheDeadline(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0") // accepts, and says nothing
	require.NoError(t, err)
	defer silent.Close()
	for name, respected := range map[string]bool{"client that respects deadlines": true, "client that does not": false} {
		t.Run(name, func(t *testing.T) {
			client := redis.NewClient(&redis.Options{
				Addr: silent.Addr().String(), ContextTimeoutEnabled: respected, ReadTimeout: time.Second, DisableIdentity: true,
			})
			defer client.Close()
			began := time.Now()
			d := guard.New(client, "marketing").Check(t.Context(), cachetest.Subjects(cachetest.Layout(), 0, 1)[0], "promotion")
			require.Equal(t, events.Unreachable, d.Reason)
			require.Less(t, time.Since(began), 900*time.Millisecond, "not after the read timeout")
		})
	}
}

// fault spoils what a client gets to hear.
type fault struct{ spoil func(cmd redis.Cmder) }

func (f *fault) DialHook(next redis.DialHook) redis.DialHook { return next }

func (f *fault) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if err := next(ctx, cmd); err != nil || f.spoil == nil {
			return err
		}
		f.spoil(cmd)
		return cmd.Err()
	}
}

func (f *fault) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

// TestNoFaultAllows spoils the answer of a subject that granted: each part of it
// missing, of another type, or garbage, and errors at any moment.
func TestNoFaultAllows(t *testing.T) {
	server := testenv.Redis(t)
	p := newPipeline(t, server)
	p.publish(events.Granted, 0, "promotion")
	f := &fault{}
	client := server.Client(t)
	client.AddHook(f)
	g := p.guard(client)
	check := func() guard.Decision { return g.Check(t.Context(), p.log.Subjects[0], "promotion") }
	require.NoError(t, check().Err())

	rapid.Check(t, func(rt *rapid.T) {
		part := rapid.SampledFrom([]int{0, 2, 3, 5, 6, 7}).Draw(rt, "part") // not the microseconds, and no chunk need be open
		junk := rapid.SampledFrom([]any{
			"", "?", " ", "-1", "1e9", "9999999999999999999999", int64(7), []any{}, errors.New("ERR"), true, nil,
			rapid.String().Draw(rt, "text"), rapid.SliceOfN(rapid.Byte(), 0, 80).Draw(rt, "bytes"),
		}).Draw(rt, "junk")
		if bytes, ok := junk.([]byte); ok {
			junk = string(bytes)
		}
		how, length, cut := rapid.IntRange(0, 4).Draw(rt, "how"), rapid.IntRange(0, 7).Draw(rt, "length"), rapid.IntRange(1, 40).Draw(rt, "cut")
		f.spoil = func(cmd redis.Cmder) {
			script, ok := cmd.(*redis.Cmd)
			if !ok {
				return // the layout
			}
			values := script.Val().([]any)
			switch how {
			case 0:
				script.SetErr(errors.New("connection reset by peer"))
			case 1:
				script.SetVal(junk)
			case 2:
				script.SetVal(values[:length])
			case 3:
				state := values[5].(string)
				values[5] = state[:max(0, len(state)-cut)]
			default:
				if spoils(part, values[part], junk) {
					values[part] = junk
				} else {
					values[part] = []any{}
				}
			}
		}
		defer func() { f.spoil = nil }()
		require.Error(rt, check().Err())
	})
	require.NoError(t, check().Err())
}

// spoils says whether junk in the place of a part is a fault at all. Whatever
// reads as a number may be one; nobody held is what an empty text means. A revision of
// the policy that nobody published is one, and so is none.
func spoils(part int, was, junk any) bool {
	text, ok := junk.(string)
	if !ok {
		return junk != nil || part == 5 || part == 7
	}
	for _, c := range text {
		if part < 5 && (c < '0' || c > '9') {
			return true
		}
	}
	return (part == 5 || part == 7) && text != was || part == 6 && len(text) > 0 && text[0] != ' ' && text[0] != '-' && text != "?"
}

func TestGarbageInRedisDenies(t *testing.T) {
	server := testenv.Redis(t)
	prefix := cachetest.Layout().Prefix(partition)
	client := server.Client(t)
	for name, spoil := range map[string]func(p *pipeline, bucket string) error{
		"the position is no hash":   func(*pipeline, string) error { return retype(client, prefix+"pos") },
		"the position is no number": func(*pipeline, string) error { return client.HSet(t.Context(), prefix+"pos", "next", "x").Err() },
		"the freshness is no number": func(*pipeline, string) error {
			return client.HSet(t.Context(), prefix+"pos", "fresh", "soon").Err()
		},
		"the freshness is in the future": func(*pipeline, string) error {
			return client.HSet(t.Context(), prefix+"pos", "fresh", "99999999999999").Err()
		},
		"a script died half-way": func(*pipeline, string) error {
			return client.HSet(t.Context(), prefix+"pos", "chunk", "1:0?").Err()
		},
		"the bucket is no hash": func(_ *pipeline, bucket string) error { return retype(client, bucket) },
		"the bucket is gone":    func(_ *pipeline, bucket string) error { return client.Del(t.Context(), bucket).Err() },
		"the state is garbage": func(p *pipeline, bucket string) error {
			fields := client.HKeys(t.Context(), bucket).Val()
			return client.HSet(t.Context(), bucket, fields[0], "garbage").Err()
		},
		"the state is another partition's": func(p *pipeline, bucket string) error {
			other := cachetest.NewLog(cachetest.Layout(), 1, 1)
			other.Append(events.Granted, 0, "promotion")
			change := other.Fold(map[events.Subject]events.State{}, 0, 1)[0]
			return client.HSet(t.Context(), bucket, client.HKeys(t.Context(), bucket).Val()[0], change.State.Bytes()).Err()
		},
		"the holds are no hash": func(*pipeline, string) error { return retype(client, prefix+"held") },
		"the hold is garbage": func(p *pipeline, _ string) error {
			return client.HSet(t.Context(), prefix+"held", p.log.Subjects[0].Reveal(), "\x00").Err()
		},
	} {
		t.Run(name, func(t *testing.T) {
			server.Flush(t)
			p := newPipeline(t, server)
			p.publish(events.Granted, 0, "promotion")
			g := p.guard(client)
			require.True(t, g.Check(t.Context(), p.log.Subjects[0], "promotion").Allowed)
			buckets := client.Keys(t.Context(), prefix+"s:*").Val()
			require.Len(t, buckets, 1)
			require.NoError(t, spoil(p, buckets[0]))
			require.False(t, g.Check(t.Context(), p.log.Subjects[0], "promotion").Allowed)
		})
	}
}

// retype makes a key a text.
func retype(client *redis.Client, key string) error {
	return client.Set(context.Background(), key, "text", 0).Err()
}

func BenchmarkCheck(b *testing.B) {
	server := testenv.Redis(b)
	p := newPipeline(b, server)
	p.publish(events.Granted, 0, "promotion")
	for name, respected := range map[string]bool{"deadlines": true, "goroutine": false} {
		b.Run(name, func(b *testing.B) {
			client := redis.NewClient(&redis.Options{Addr: server.Addr(), ContextTimeoutEnabled: respected, Protocol: 2, DisableIdentity: true})
			defer client.Close()
			g := p.guard(client)
			b.ReportAllocs()
			for b.Loop() {
				if d := g.Check(b.Context(), p.log.Subjects[0], "promotion"); !d.Allowed {
					b.Fatal(d)
				}
			}
		})
	}
}
