package snapshots_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/consumers"
	"github.com/kelisim/kelisim/consumers/snapshots"
	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/snapshot"
	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/internal/cache"
	"github.com/kelisim/kelisim/internal/testenv"
)

// world is one partition of the cache, with its topic.
type world struct {
	t      *testing.T
	broker *testenv.Broker
	client *redis.Client
	store  *cache.Redis
	layout cache.Layout
	topic  string
	rules  *events.Rules
	mark   cache.Mark
	states map[events.Subject]events.State
	made   int
}

func newWorld(t *testing.T) *world {
	broker := testenv.Kafka(t)
	w := &world{
		t: t, broker: broker, client: testenv.Redis(t).Client(t), rules: events.SeedRules(),
		topic:  broker.Topic(t, testenv.TopicSpec{Name: "state", Config: map[string]string{"cleanup.policy": "compact"}}),
		layout: cache.Layout{Service: snapshots.Name, Topic: "events", Generation: 1, Partitions: 1, Buckets: 16},
	}
	var err error
	w.store, err = cache.NewRedis(t.Context(), w.client, w.layout, nil)
	require.NoError(t, err)
	w.begin()
	return w
}

// begin claims the partition and starts it at nothing, as after a flush.
func (w *world) begin() {
	w.claim()
	var err error
	w.mark, err = w.store.Begin(w.t.Context(), 0, w.mark.Epoch, 0)
	require.NoError(w.t, err)
	w.states = make(map[events.Subject]events.State)
}

// claim makes the next owner.
func (w *world) claim() {
	var err error
	w.mark, err = w.store.Claim(w.t.Context(), 0)
	require.NoError(w.t, err)
}

// action is one program's.
func (w *world) action() *snapshots.Action {
	fencer, err := stream.NewFencer(stream.ProducerConfig{Config: stream.Config{Brokers: w.broker.Addrs()}})
	require.NoError(w.t, err)
	w.t.Cleanup(fencer.Close)
	a, err := snapshots.New(snapshots.Config{Topic: w.topic, Generation: 1, Redis: w.client, Fencer: fencer})
	require.NoError(w.t, err)
	return a
}

func (w *world) slot() consumers.Slot {
	return consumers.Slot{Prefix: w.layout.Prefix(0), Epoch: w.mark.Epoch}
}

func person(t *testing.T, n int) events.Subject {
	s, err := events.ParseSubject(fmt.Sprintf("s-%03d", n))
	require.NoError(t, err)
	return s
}

// decide has the cache apply the next event of a subject, in turns a grant and a
// withdrawal, and returns the turn that follows.
func (w *world) decide(s events.Subject) consumers.Turn {
	at, kind := w.mark.Next, events.Granted
	if !w.states[s].IsZero() && w.rules.Standing(w.states[s]).Allowed.Has(w.code()) {
		kind = events.Withdrawn
	}
	w.made++
	e := events.Event{
		Type: kind, ID: fmt.Sprint(w.made), Source: "/test", Subject: s, Purposes: events.SetOf(w.code()), Method: events.ByPerson,
		Policy: "2026-11", Evidence: "https://kelisim.test/e", Decided: events.Millis(1_000_000 + 10_000*at),
		Logged: events.Stamp{Position: events.Position{Generation: 1, Offset: at}, Appended: events.Millis(1_000_000 + 10_000*at)},
	}
	state, out := w.rules.Apply(w.states[s], &e)
	require.True(w.t, out.Changed)
	res := w.store.Write(w.t.Context(), []cache.Batch{{
		Epoch: w.mark.Epoch, From: at, To: at + 1,
		Changes: []cache.Change{{Subject: s, Prev: w.states[s], State: state, Act: true}},
	}})
	require.NoError(w.t, res[0].Err)
	w.mark, w.states[s] = res[0].Mark, state
	version, _ := state.Version()
	return consumers.Turn{Subject: s, State: state, Standing: w.rules.Standing(state), Version: version}
}

func (w *world) code() events.Code {
	rule, _ := w.rules.Rule("promotion")
	return rule.Code
}

// done takes turns out of the outbox, as the engine does after an action.
func (w *world) done(turns ...consumers.Turn) {
	acted := make([]cache.Pending, len(turns))
	for i, t := range turns {
		acted[i] = cache.Pending{Subject: t.Subject, State: t.State}
	}
	_, err := w.store.Done(w.t.Context(), 0, w.mark.Epoch, acted)
	require.NoError(w.t, err)
}

// topicState is what a reader of the topic ends with, and all it saw.
type topicState struct {
	states      map[events.Subject]events.State
	checkpoints []snapshot.Checkpoint
	holds       *snapshot.Holds
	order       []string
}

func (w *world) read() topicState {
	r, err := stream.NewReader(stream.ReaderConfig{Config: stream.Config{Brokers: w.broker.Addrs()}, Topic: w.topic})
	require.NoError(w.t, err)
	defer r.Close()
	ctx, cancel := context.WithTimeout(w.t.Context(), 30*time.Second)
	defer cancel()
	got := topicState{states: make(map[events.Subject]events.State)}
	require.NoError(w.t, snapshot.ReadAll(ctx, r, []int32{0}, func(p int32, e snapshot.Entry) error {
		switch {
		case e.Checkpoint != nil:
			got.checkpoints = append(got.checkpoints, *e.Checkpoint)
			got.order = append(got.order, fmt.Sprint("checkpoint ", e.Checkpoint.Acted))
		case e.Holds != nil:
			got.holds = e.Holds
		case !e.Subject.IsZero():
			version, _ := e.State.Version()
			got.states[e.Subject] = e.State
			got.order = append(got.order, fmt.Sprint(e.Subject.Reveal(), "@", version.Offset))
		}
		return nil
	}))
	return got
}

func TestSnapshotsAreTheStatesOfTheCache(t *testing.T) {
	w := newWorld(t)
	a := w.action()
	var turns []consumers.Turn
	for n := range 500 {
		turns = append(turns, w.decide(person(t, n%300)))
	}
	require.NoError(t, a.Act(t.Context(), w.slot(), turns))
	w.done(turns...)
	require.NoError(t, a.Close(t.Context()))
	got := w.read()
	require.Equal(t, w.states, got.states)
	require.Len(t, got.order, 300+2, "the newest of each subject, and a checkpoint in front and behind")
	last := got.checkpoints[len(got.checkpoints)-1]
	require.Equal(t, int64(500), last.Acted)
	require.Equal(t, fmt.Sprintf("%012x", uint64(w.mark.Digest)), last.Digest)
}

// Until the engine has taken the turns out of the outbox, nothing is promised of
// them; a second later the checkpoint follows by itself.
func TestCheckpointFollowsWhatIsActedOn(t *testing.T) {
	w := newWorld(t)
	a := w.action()
	first := w.decide(person(t, 1))
	second := w.decide(person(t, 2))
	require.NoError(t, a.Act(t.Context(), w.slot(), []consumers.Turn{first}))
	require.Equal(t, []string{"checkpoint 0", "s-001@0"}, w.read().order)
	w.done(first)
	require.Eventually(t, func() bool {
		got := w.read()
		last := got.checkpoints[len(got.checkpoints)-1]
		return last.Acted == 1 && last.Next == 2 && last.Digest == ""
	}, 20*time.Second, 100*time.Millisecond)
	require.NoError(t, a.Act(t.Context(), w.slot(), []consumers.Turn{second}))
	w.done(second)
	require.Eventually(t, func() bool {
		got := w.read()
		last := got.checkpoints[len(got.checkpoints)-1]
		return last.Acted == 2 && last.Digest != ""
	}, 20*time.Second, 100*time.Millisecond)
}

// The zombie has its turns and its right to write, and sleeps while another takes
// over. It must not put its older state behind the newer one: compaction would
// make that final.
func TestZombieNeverWritesAnOlderStateBehindANewerOne(t *testing.T) {
	w := newWorld(t)
	zombie, heir := w.action(), w.action()
	s := person(t, 1)
	seated := w.decide(s)
	require.NoError(t, zombie.Act(t.Context(), w.slot(), []consumers.Turn{seated}))
	w.done(seated)
	old, slept := w.decide(s), w.slot() // about to be written

	w.claim()
	newer := w.decide(s)
	require.NoError(t, heir.Act(t.Context(), w.slot(), []consumers.Turn{newer}))
	for range 3 { // refused where it sits, and refused a seat
		require.Error(t, zombie.Act(t.Context(), slept, []consumers.Turn{old}))
	}
	newest := w.decide(person(t, 2))
	require.NoError(t, heir.Act(t.Context(), w.slot(), []consumers.Turn{newest}), "the heir is not disturbed")
	require.Equal(t, newer.State, w.read().states[s])
}

// The zombie wakes where nothing protects the topic but its fence: it has looked,
// it owned the partition then, and now it writes.
func TestZombieThatHasLookedIsRefusedByTheBroker(t *testing.T) {
	w := newWorld(t)
	heir := w.action()
	s := person(t, 1)
	var zombie *snapshots.Action
	fencer, err := stream.NewFencer(stream.ProducerConfig{Config: stream.Config{Brokers: w.broker.Addrs()}})
	require.NoError(t, err)
	t.Cleanup(fencer.Close)
	slow := &pausing{Client: w.client}
	zombie, err = snapshots.New(snapshots.Config{Topic: w.topic, Generation: 1, Redis: slow, Fencer: fencer})
	require.NoError(t, err)
	old, slept := w.decide(s), w.slot()
	var newer consumers.Turn
	slow.asleep = func() { // between its look and its write
		w.claim()
		newer = w.decide(s)
		require.NoError(t, heir.Act(t.Context(), w.slot(), []consumers.Turn{newer}))
	}
	require.ErrorIs(t, zombie.Act(t.Context(), slept, []consumers.Turn{old}), stream.ErrFenced)
	require.Equal(t, newer.State, w.read().states[s])
	require.NotContains(t, w.read().order, "s-001@0")
}

// pausing is a Redis whose user falls asleep once: after it has looked where the
// slot stands, when it reads the holds.
type pausing struct {
	*redis.Client
	asleep func()
}

func (p *pausing) HLen(ctx context.Context, key string) *redis.IntCmd {
	if asleep := p.asleep; asleep != nil {
		p.asleep = nil
		asleep()
	}
	return p.Client.HLen(ctx, key)
}

// A turn that was overtaken comes all the same: it was in memory when the outbox
// was read. Its subject does not wait any more.
func TestTurnThatWasOvertakenIsLeftAlone(t *testing.T) {
	w := newWorld(t)
	a := w.action()
	s := person(t, 1)
	old := w.decide(s)
	newer := w.decide(s)
	require.NoError(t, a.Act(t.Context(), w.slot(), []consumers.Turn{newer}))
	w.done(newer)
	require.NoError(t, a.Act(t.Context(), w.slot(), []consumers.Turn{old}))
	require.Equal(t, newer.State, w.read().states[s])
}

// After a flush the cache is folded from the beginning, and older states come
// again. In front of the first of them stands that all later events are needed.
func TestCheckpointGoesBackBeforeOlderStatesAreWritten(t *testing.T) {
	w := newWorld(t)
	a := w.action()
	s := person(t, 1)
	for range 3 {
		turn := w.decide(s)
		require.NoError(t, a.Act(t.Context(), w.slot(), []consumers.Turn{turn}))
		w.done(turn)
	}
	require.NoError(t, a.Close(t.Context()))
	require.NoError(t, w.client.FlushAll(t.Context()).Err())
	w.begin()
	again := w.decide(s)
	require.NoError(t, w.action().Act(t.Context(), w.slot(), []consumers.Turn{again}))
	order := w.read().order
	require.Equal(t, []string{"s-001@2", "checkpoint 3", "checkpoint 0", "s-001@0"}, order[len(order)-4:])
}

func TestTopicTellsWhoIsHeld(t *testing.T) {
	w := newWorld(t)
	a := w.action()
	held := person(t, 7)
	require.NoError(t, w.store.Hold(t.Context(), held, events.Position{Generation: 1, Offset: 5}))
	require.NoError(t, a.Act(t.Context(), w.slot(), []consumers.Turn{w.decide(person(t, 1))}))
	require.Equal(t, map[string]string{"s-007": "1/0@5"}, w.read().holds.Held)
	require.NoError(t, w.store.Release(t.Context(), held, events.Position{Generation: 1, Offset: 5}))
	w.claim()
	require.NoError(t, a.Act(t.Context(), w.slot(), []consumers.Turn{w.decide(person(t, 1))}))
	require.Equal(t, map[string]string{"s-007": "-1/0@5"}, w.read().holds.Held)
}

// What an erasure leaves is a state as any other: without it a late grant would
// open what the person had erased.
func TestErasedSubjectKeepsItsRemainder(t *testing.T) {
	w := newWorld(t)
	a := w.action()
	s := person(t, 1)
	granted := w.decide(s)
	at := w.mark.Next
	erased, out := w.rules.Apply(granted.State, &events.Event{
		Type: events.SubjectErased, ID: "erasure", Source: "/test", Subject: s, Decided: 9_000_000,
		Logged: events.Stamp{Position: events.Position{Generation: 1, Offset: at}, Appended: 9_000_000},
	})
	require.True(t, out.Changed)
	res := w.store.Write(t.Context(), []cache.Batch{{Epoch: w.mark.Epoch, From: at, To: at + 1,
		Changes: []cache.Change{{Subject: s, Prev: granted.State, State: erased, Act: true}}}})
	require.NoError(t, res[0].Err)
	version, _ := erased.Version()
	require.NoError(t, a.Act(t.Context(), w.slot(), []consumers.Turn{{Subject: s, State: erased, Version: version}}))
	require.Equal(t, erased, w.read().states[s])
}
