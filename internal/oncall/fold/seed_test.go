package fold

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/cloudevent"
	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/internal/cache"
	"github.com/kelisim/kelisim/internal/synthetic"
	"github.com/kelisim/kelisim/schemas"
)

const began = events.Millis(1_700_000_000_000)

var layout = cache.Layout{Service: "test", Topic: "events", Generation: 1, Partitions: 1, Buckets: 4}

// history is a log of one partition, with an event behind the others for each that is given.
func history(t *testing.T, n int, more ...events.Event) (all []stream.Record) {
	people, err := synthetic.New(synthetic.Config{Seed: 3, Subjects: 20}, events.SeedRules())
	require.NoError(t, err)
	for i := range n {
		more = append(more, people.Next(began+events.Millis(i)))
	}
	for i := range more {
		m, err := cloudevent.Encoder{Rules: events.SeedRules(), Data: schemas.Data}.Encode(&more[i])
		require.NoError(t, err)
		r := stream.Record{Offset: int64(i), Time: int64(began) + int64(i), LogAppend: true, Key: m.Key, Value: m.Value}
		for _, h := range m.Headers {
			r.Headers = r.Headers.Append(h.Key, h.Value)
		}
		all = append(all, r)
	}
	return all
}

func folded(t *testing.T, from int64, records []stream.Record) *Fold {
	f := New(Config{Rules: events.SeedRules(), Layout: layout, Limit: math.MaxInt}, 0, Whole(layout), from)
	require.NoError(t, f.Records(records))
	return f
}

// Snapshots may be newer than where the log is read on from: events are met twice.
func TestSeededFoldComesToWhatTheWholeLogGives(t *testing.T) {
	log := history(t, 500)
	whole := folded(t, 0, log)
	for _, newer := range []int{200, 350, 500} {
		snapshot := folded(t, 0, log[:newer])
		f := New(Config{Rules: events.SeedRules(), Layout: layout, Limit: math.MaxInt}, 0, Whole(layout), 200)
		for _, p := range snapshot.People {
			require.NoError(t, f.Seed(p.Subject(), p.State))
		}
		require.NoError(t, f.Records(log[200:]))
		require.Equal(t, whole.Digest(), f.Digest(), "states of %d, log from 200", newer)
	}
}

func TestSeedsBeyondTheLimitAreACrowd(t *testing.T) {
	f := New(Config{Rules: events.SeedRules(), Layout: layout, Limit: 3}, 0, Whole(layout), 0)
	var err error
	for _, p := range folded(t, 0, history(t, 100)).People {
		if err == nil {
			err = f.Seed(p.Subject(), p.State)
		}
	}
	require.ErrorIs(t, err, ErrCrowd)
}

// Whether it was put aside the state does not say, so nobody is called wrong.
func TestHoldOfAnEventThatASnapshotKnowsIsNotJudged(t *testing.T) {
	s, err := events.ParseSubject("ahead")
	require.NoError(t, err)
	set, err := events.SeedRules().Set("promotion")
	require.NoError(t, err)
	granted := events.Event{
		ID: "1", Source: "/test", Type: events.Granted, Method: events.ByPerson, Subject: s, Purposes: set, Policy: events.SeedPolicy,
		Decided: began + 3_600_000, Evidence: "urn:evidence:1", Data: []byte(`{"channel":"app"}`), // from the future: it is put aside
	}
	withdrawn := events.Event{ID: "2", Source: "/test", Type: events.Withdrawn, Subject: s, Purposes: set, Decided: began, Data: []byte(`{"channel":"app"}`)}
	log := history(t, 0, granted, withdrawn)
	whole := folded(t, 0, log)
	hold := Hold{s, events.Position{Generation: 1, Partition: 0, Offset: 0}}
	require.True(t, whole.Holds[hold].Now())
	f := New(Config{Rules: events.SeedRules(), Layout: layout, Limit: math.MaxInt}, 0, Whole(layout), 0)
	require.NoError(t, f.Seed(s, whole.Person(s).State))
	require.NoError(t, f.Records(log))
	require.Equal(t, Held{-1, -1}, *f.Holds[hold])
}

func TestSeededHoldsSayWhatSnapshotsSay(t *testing.T) {
	s, err := events.ParseSubject("held")
	require.NoError(t, err)
	f := New(Config{Rules: events.SeedRules(), Layout: layout, Limit: math.MaxInt}, 0, Whole(layout), 0)
	f.SeedHolds(s, "1/0@7 -1/0@9 1/3@11 *")
	at := func(partition int32, offset int64) Hold {
		return Hold{s, events.Position{Generation: 1, Partition: partition, Offset: offset}}
	}
	require.True(t, f.Holds[at(0, 7)].Now())
	require.Equal(t, Held{-1, -1}, *f.Holds[at(0, 9)])
	require.Equal(t, Held{-1, -1}, *f.Holds[at(3, 11)])
	require.Equal(t, []Hold{at(3, 11)}, f.Elsewhere)
	require.Len(t, f.Holds, 3)
}
