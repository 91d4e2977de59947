package retention_test

import (
	"context"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/consumers"
	"github.com/kelisim/kelisim/consumers/policy"
	"github.com/kelisim/kelisim/events"
	versions "github.com/kelisim/kelisim/events/policy"
	"github.com/kelisim/kelisim/internal/cache"
	"github.com/kelisim/kelisim/internal/oncall/retention"
	"github.com/kelisim/kelisim/internal/testenv"
)

const prefix = "consent:{policy/1/0}:"

// desk is one partition's, with states that a test makes up.
type desk struct {
	*retention.Desk
	client *redis.Client
	views  map[events.Subject]cache.View
	next   int64
}

func (d *desk) Lookup(_ context.Context, s events.Subject) (cache.View, error) {
	return d.views[s], nil
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	d := &desk{client: testenv.Redis(t).Client(t), views: make(map[events.Subject]cache.View)}
	calendar, err := policy.Open(d.client, []consumers.Slot{{Prefix: prefix}})
	require.NoError(t, err)
	book, err := new(versions.Book).With(versions.Seed())
	require.NoError(t, err)
	d.Desk = &retention.Desk{Calendar: calendar, States: d, Rules: events.SeedRules(), Book: book}
	return d
}

func subject(t *testing.T, id string) events.Subject {
	t.Helper()
	s, err := events.ParseSubject(id)
	require.NoError(t, err)
	return s
}

// leave ends an agreement at a moment, notes it, and lets further events follow.
func (d *desk) leave(t *testing.T, id string, at time.Time, then ...events.Type) events.Subject {
	t.Helper()
	s := subject(t, id)
	view := d.views[s]
	for i, typ := range append([]events.Type{events.AgreementStarted, events.AgreementEnded}, then...) {
		d.next++
		moment := events.MillisOf(at) + events.Millis(1_000*(i-1))
		view.State, _ = d.Rules.Apply(view.State, &events.Event{
			ID: strconv.FormatInt(d.next, 10), Source: "/app", Type: typ, Method: events.ByPerson, Subject: s, Decided: moment,
			Logged: events.Stamp{Position: events.Position{Generation: 1, Offset: d.next}, Appended: moment},
		})
	}
	d.views[s] = view
	require.NoError(t, d.client.ZAdd(t.Context(), prefix+"ended", redis.Z{Score: float64(at.UnixMilli()), Member: id}).Err())
	return s
}

func day(y, m, d int) time.Time { return time.Date(y, time.Month(m), d, 10, 0, 0, 0, time.UTC) }

func TestWhoIsDueIsListedWithWhatHoldsItUp(t *testing.T) {
	d := newDesk(t)
	d.leave(t, "due-1", day(2027, 1, 31))
	d.leave(t, "frozen-1", day(2027, 2, 1), events.Blocked)
	d.leave(t, "gone-1", day(2027, 2, 2), events.AgreementStarted)
	held := d.leave(t, "held-1", day(2027, 2, 3))
	view := d.views[held]
	view.Held = true
	d.views[held] = view
	d.leave(t, "later-1", day(2027, 6, 1))
	d.leave(t, "much-later-1", day(2029, 6, 1))

	q := retention.Query{Now: day(2030, 3, 1), By: day(2030, 12, 31), Limit: 10}
	list, err := d.Due(t.Context(), q)
	require.NoError(t, err)
	var states []string
	for _, r := range list.Rows {
		states = append(states, r.State)
	}
	require.Equal(t, []string{retention.Due, retention.Frozen, retention.Gone, retention.Held, retention.Later}, states)
	require.Equal(t, "2030-01-31T19:00:00Z", list.Rows[0].Due.Format(time.RFC3339), "midnight in Almaty")
	require.Equal(t, []retention.Count{{Listed: 5, Retentions: 6}}, list.Counts)
	var text strings.Builder
	list.Text(&text)
	for _, id := range []string{"due-1", "frozen-1", "held-1"} {
		require.NotContains(t, text.String(), id)
	}

	q.Reveal, q.Limit = true, 2
	list, err = d.Due(t.Context(), q)
	require.NoError(t, err)
	require.True(t, list.More)
	require.Equal(t, "frozen-1", list.Rows[1].Subject)
}
