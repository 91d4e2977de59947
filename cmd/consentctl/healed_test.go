package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/guard"
	"github.com/kelisim/kelisim/internal/cache"
	"github.com/kelisim/kelisim/internal/oncall/exit"
	"github.com/kelisim/kelisim/internal/oncall/verify"
	"github.com/kelisim/kelisim/internal/synthetic"
	"github.com/kelisim/kelisim/internal/testenv"
)

// The partitions that are put back to another day: one whole, and of one the states
// alone, which nobody can tell by looking at one of them.
const (
	wholeOfYesterday  = int32(2)
	statesOfYesterday = int32(5)
)

// patient is a bench with a town of people on it, a load of others, and somebody
// who asks all the time.
type patient struct {
	*bench
	t      *testing.T
	layout cache.Layout
	people *synthetic.Generator
	rules  *events.Rules
}

func newPatient(t *testing.T) *patient {
	p := &patient{bench: newBench(t), t: t, rules: events.SeedRules()}
	p.buckets = 16 // all of them are read many times
	for _, name := range []string{"marketing", "targeting", "snapshots"} {
		p.start(t, name)
	}
	var err error
	p.people, err = synthetic.New(synthetic.Config{Seed: 5, Subjects: 400, Prefix: "still-"}, p.rules)
	require.NoError(t, err)
	p.live(2000)
	p.layout = p.bench.layout(t, "marketing")
	return p
}

// live lets the town decide n times.
func (p *patient) live(n int) {
	all := make([]stream.Message, n)
	for i := range all {
		e := p.people.Next(events.MillisOf(time.Now()))
		all[i] = must(encoded(&e))
		all[i].Topic = p.Topics.Events
	}
	_, err := p.producer.PublishAll(p.t.Context(), all)
	require.NoError(p.t, err)
	p.written += int64(n)
	p.settle(p.t)
}

// ctl runs a command on the bench.
func (p *patient) ctl(want int, args ...string) string {
	p.t.Helper()
	var out, errs strings.Builder
	code := run(p.t.Context(), args, p.environ(), strings.NewReader(""), &out, &errs)
	require.Equal(p.t, want, code, "%v: %s%s", args, out.String(), errs.String())
	return out.String()
}

// states are what marketing stores of the town, by id.
func (p *patient) states() map[string]string {
	all := make(map[string]string)
	in := cache.NewInspector(p.client, p.layout)
	for id := range p.layout.Partitions {
		require.NoError(p.t, in.Buckets(p.t.Context(), id, 0, p.layout.Buckets, func(_ int32, states map[string]string) error {
			for field, state := range states {
				if strings.HasPrefix(field, "still-") {
					all[field] = state
				}
			}
			return nil
		}))
	}
	return all
}

func (p *patient) allows(state string) bool {
	s, err := events.ParseState([]byte(state))
	require.NoError(p.t, err)
	return p.rules.Decide(s, "promotion").Allowed
}

// copied puts keys back as they were.
type copied []func(redis.Pipeliner)

// copy remembers keys, and back puts them in the place of whatever is there now, at
// one moment.
func (p *patient) copy(pattern string) (c copied) {
	ctx := p.t.Context()
	for _, key := range p.client.Keys(ctx, pattern).Val() {
		switch kind := p.client.Type(ctx, key).Val(); kind {
		case "hash":
			fields := p.client.HGetAll(ctx, key).Val()
			if fresh, err := strconv.ParseInt(fields["fresh"], 10, 64); err == nil { // of pos: it is of another day
				fields["fresh"] = strconv.FormatInt(fresh-(24*time.Hour).Milliseconds(), 10)
			}
			c = append(c, func(tx redis.Pipeliner) { tx.HSet(ctx, key, fields) })
		case "zset":
			members := p.client.ZRangeWithScores(ctx, key, 0, -1).Val()
			c = append(c, func(tx redis.Pipeliner) { tx.ZAdd(ctx, key, members...) })
		case "set":
			members := p.client.SMembers(ctx, key).Val()
			c = append(c, func(tx redis.Pipeliner) { tx.SAdd(ctx, key, members) })
		default:
			require.Equal(p.t, "none", kind, "%s: it may have gone meanwhile, but not be of another type", key)
		}
	}
	return c
}

func (p *patient) back(pattern string, c copied) {
	now := p.client.Keys(p.t.Context(), pattern).Val()
	_, err := p.client.TxPipelined(p.t.Context(), func(tx redis.Pipeliner) error {
		tx.Del(p.t.Context(), now...)
		for _, put := range c {
			put(tx)
		}
		return nil
	})
	require.NoError(p.t, err)
}

// movers is live traffic of people who change their minds all the time, none of
// them in a partition that is put back. It knows who has withdrawn, and since when.
type movers struct {
	cancel    context.CancelFunc
	ended     sync.WaitGroup
	mu        sync.Mutex
	all       []string
	withdrawn map[string]time.Time
	sent      int64
}

func (p *patient) move() *movers {
	ctx, cancel := context.WithCancel(context.Background())
	m := &movers{cancel: cancel, withdrawn: make(map[string]time.Time)}
	for i := 0; len(m.all) < 30; i++ {
		who := fmt.Sprint("mover-", i)
		if at := partitionOf(p.layout, who); at != wholeOfYesterday && at != statesOfYesterday {
			m.all = append(m.all, who)
		}
	}
	p.t.Cleanup(func() { m.stop() })
	m.ended.Go(func() {
		pace := time.NewTicker(5 * time.Millisecond)
		defer pace.Stop()
		for i := 0; ctx.Err() == nil; i++ {
			m.decide(p, m.all[i%len(m.all)], i/len(m.all)%2 == 0)
			<-pace.C
		}
	})
	return m
}

func (m *movers) decide(p *patient, who string, grant bool) {
	kind := events.Withdrawn
	if grant {
		kind = events.Granted
		m.mu.Lock()
		delete(m.withdrawn, who)
		m.mu.Unlock()
	}
	message := must(encoded(event(who, kind, "promotion")))
	message.Topic = p.Topics.Events
	if _, err := p.producer.Publish(context.Background(), message); err != nil {
		p.t.Error(err)
		return
	}
	if m.sent++; !grant {
		m.mu.Lock()
		m.withdrawn[who] = time.Now()
		m.mu.Unlock()
	}
}

func (m *movers) stop() int64 {
	m.cancel()
	m.ended.Wait()
	return m.sent
}

// bound is X of the promise: how long after a withdrawal nothing is allowed.
const bound = 5 * time.Second

func (m *movers) stopped(who string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	since, is := m.withdrawn[who]
	return is && time.Since(since) > bound
}

// watch asks the guard all the time, and wants no allow that the log does not give.
// Of whom the damage itself makes allowed it only counts, until they are healed.
type watch struct {
	cancel  context.CancelFunc
	ended   sync.WaitGroup
	healed  atomic.Bool
	asked   atomic.Int64
	damaged atomic.Int64 // allows by what the damage wrote
}

func (p *patient) watch(m *movers, allowed map[string]bool, tainted map[string]bool) *watch {
	ctx, cancel := context.WithCancel(context.Background())
	w := &watch{cancel: cancel}
	ask := guard.New(p.client, "marketing", guard.WithDeadline(bound))
	p.t.Cleanup(func() { w.end() })
	w.ended.Go(func() {
		for ctx.Err() == nil {
			for who, may := range allowed {
				healed := w.healed.Load()
				d := ask.Check(ctx, must(events.ParseSubject(who)), "promotion")
				switch w.asked.Add(1); {
				case !d.Allowed || may:
				case tainted[who] && !healed:
					w.damaged.Add(1)
				default:
					p.t.Errorf("%s is allowed, and the log does not give it: %v", who, d)
				}
			}
			for _, who := range m.all {
				stopped := m.stopped(who)
				if d := ask.Check(ctx, must(events.ParseSubject(who)), "promotion"); stopped && d.Allowed {
					p.t.Errorf("%s is allowed %v after a withdrawal: %v", who, bound, d)
				}
			}
		}
	})
	return w
}

func (w *watch) end() int64 {
	w.cancel()
	w.ended.Wait()
	return w.asked.Load()
}

// expected counts, by kind, what putting the states back comes to.
func (p *patient) expected(before, after map[string]string) map[verify.Kind]int64 {
	want := make(map[verify.Kind]int64)
	for who, state := range after {
		switch old := before[who]; {
		case partitionOf(p.layout, who) != statesOfYesterday || old == state:
		case old == "":
			want[verify.Missing]++
		default:
			want[verify.Older]++
		}
	}
	return want
}

func TestDamageOfEveryKindIsFoundAndHealedUnderLiveTraffic(t *testing.T) {
	testenv.Parallel(t)
	p := newPatient(t)
	yesterday := p.states()
	whole, states := p.layout.Prefix(wholeOfYesterday)+"*", p.layout.Prefix(statesOfYesterday)+"s:*"
	wholeThen, statesThen := p.copy(whole), p.copy(states)
	p.live(2000)
	for who, state := range yesterday { // somebody who was allowed yesterday, and is not today
		if at := partitionOf(p.layout, who); p.allows(state) && (at == wholeOfYesterday || at == statesOfYesterday) {
			p.publish(t, event(who, events.Withdrawn, "promotion"))
		}
	}
	p.settle(t)
	p.ctl(exit.OK, "verify")
	today := p.states()

	want := p.expected(yesterday, today)
	require.Positive(t, want[verify.Older])
	allowed, tainted := make(map[string]bool, len(today)), make(map[string]bool)
	var deleted, altered []string
	for _, who := range slices.Sorted(maps.Keys(today)) {
		allowed[who] = p.allows(today[who])
		switch at := partitionOf(p.layout, who); {
		case at == statesOfYesterday:
			tainted[who] = yesterday[who] != "" && p.allows(yesterday[who]) && !allowed[who]
		case at == wholeOfYesterday:
		case len(deleted) < 10:
			deleted = append(deleted, who)
		case len(altered) < 10:
			altered = append(altered, who)
		}
	}
	want[verify.Missing] += int64(len(deleted))
	want[verify.Altered] += int64(len(altered))

	m := p.move()
	w := p.watch(m, allowed, tainted)
	for _, who := range deleted {
		p.damage(t, "marketing", who, "")
	}
	for i, who := range altered { // its own version, and what somebody else decided, or nothing at all
		other := today[altered[(i+1)%len(altered)]]
		if p.allows(other) {
			other = "rubbish of the same length and more"
		}
		p.damage(t, "marketing", who, today[who][:6]+other[6:])
	}
	p.back(states, statesThen)
	p.back(whole, wholeThen)

	// One partition went back with its position: its owner sees that, and reads on from there.
	require.Eventually(t, func() bool { return w.asked.Load() > 0 && p.same(wholeOfYesterday, today) }, time.Minute, 20*time.Millisecond)
	var found struct {
		Kinds map[verify.Kind]int64
		Found []struct{ Service string }
	}
	require.NoError(t, json.Unmarshal([]byte(p.ctl(exit.Findings, "verify", "-o", "json")), &found))
	require.Equal(t, want, found.Kinds)
	for _, d := range found.Found {
		require.Equal(t, "marketing", d.Service)
	}

	var plan struct{ WouldAllow int64 }
	require.NoError(t, json.Unmarshal([]byte(p.ctl(exit.Findings, "rebuild", "marketing", "-o", "json")), &plan))
	p.ctl(exit.Refused, "rebuild", "marketing", "--apply", "--reason", "INC-9")
	said := p.ctl(exit.OK, "rebuild", "marketing", "--apply", "--reason", "INC-9", "--permit-grants", "--second-operator", "dana",
		"--expect-allow", fmt.Sprint(plan.WouldAllow))
	w.healed.Store(true)
	require.Contains(t, said, "marketing: swapped 12 of 12 partitions: ")
	p.ctl(exit.OK, "verify")
	require.Equal(t, today, p.states())

	p.replayChangesNothing(today)
	require.Positive(t, w.end())
	t.Logf("asked %d times; %d allows by what the damage wrote, before it was healed", w.asked.Load(), w.damaged.Load())
	p.written += m.stop()
	p.settle(t)
	p.ctl(exit.OK, "verify")
}

// replayChangesNothing replays the whole topic over the healthy cache, under load.
func (p *patient) replayChangesNothing(today map[string]string) {
	p.t.Helper()
	for i := range 2 {
		plan := filepath.Join(p.t.TempDir(), fmt.Sprint("plan", i))
		require.Contains(p.t, p.ctl(exit.OK, "replay", "plan", "--file", plan), "\n0 states to replace, 0 holds to lay; plan ")
		require.Contains(p.t, p.ctl(exit.OK, "replay", "run", plan, "--apply", "--reason", "nothing is wrong"), "marketing: repaired 0, held again 0, ")
	}
	require.Equal(p.t, today, p.states())
}

// same says whether the states of a partition are those.
func (p *patient) same(partition int32, want map[string]string) bool {
	now := p.states()
	for who, state := range want {
		if partitionOf(p.layout, who) == partition && now[who] != state {
			return false
		}
	}
	return true
}
