package policy

import (
	"encoding/json"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/events"
	versions "github.com/kelisim/kelisim/events/policy"
	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/events/stream/recordbatch"
)

type known struct {
	book     *versions.Book
	appended map[events.PolicyVersion]time.Time
}

func (k *known) Book() *versions.Book { return k.book }

func (k *known) Appended(v events.PolicyVersion) (time.Time, bool) {
	at, ok := k.appended[v]
	return at, ok
}

// add publishes the seed under another name, on a day, effective on another.
func (k *known) add(t *testing.T, name events.PolicyVersion, published, effective, appended string) {
	text, err := versions.Seed().JSON()
	require.NoError(t, err)
	var members map[string]any
	require.NoError(t, json.Unmarshal(text, &members))
	members["version"], members["publishedon"], members["effectiveon"] = name, published, effective
	text, err = json.Marshal(members)
	require.NoError(t, err)
	c, err := versions.Parse(text)
	require.NoError(t, err)
	k.book, err = k.book.With(c)
	require.NoError(t, err)
	if appended != "" {
		k.appended[name] = moment(t, appended)
	}
}

func moment(t *testing.T, text string) time.Time {
	at, err := time.Parse("2006-01-02 15:04 -07", text+" +05")
	require.NoError(t, err)
	return at
}

func TestUseAcceptsTheLastVersionThatPeopleCouldReadForSevenDays(t *testing.T) {
	k := &known{appended: make(map[events.PolicyVersion]time.Time)}
	require.Nil(t, deemedAt(deemedVersions(k), moment(t, "2030-01-01 00:00")))
	k.add(t, "1", "2026-11-01", "2026-11-01", "2026-11-01 00:01")
	k.add(t, "2", "2026-12-01", "2026-12-01", "2026-12-03 23:59") // appended two days late
	k.add(t, "3", "2026-12-20", "2027-02-01", "2026-12-20 09:00") // in force later
	k.add(t, "4", "2027-03-01", "2027-03-01", "")                 // known from elsewhere: nobody says since when
	for at, want := range map[string]events.PolicyVersion{
		"2026-11-08 23:59": "",
		"2026-11-09 00:00": "1",
		"2026-12-10 23:59": "1",
		"2026-12-11 00:00": "2",
		"2027-01-31 23:59": "2",
		"2027-02-01 00:00": "3",
		"2028-01-01 00:00": "3",
	} {
		got := deemedAt(deemedVersions(k), moment(t, at))
		if want == "" {
			require.Nil(t, got, at)
			continue
		}
		require.Equal(t, want, got.Version, at)
	}
	require.Equal(t, []events.PolicyVersion{"4"}, deemedAt(deemedVersions(k), moment(t, "2028-01-01 00:00")).later)
}

// A version that is accepted already, or one behind it, is not accepted again.
func TestALaterVersionOnceAcceptedCoversTheEarlier(t *testing.T) {
	k := &known{appended: make(map[events.PolicyVersion]time.Time)}
	k.add(t, "1", "2026-11-01", "2026-11-01", "2026-11-01 00:01")
	k.add(t, "2", "2026-12-01", "2027-12-01", "2026-12-01 00:01")
	rules, accepts := events.SeedRules(), deemedVersions(k)
	person, err := events.ParseSubject("person-1")
	require.NoError(t, err)
	tell := func(s events.State, typ events.Type, v events.PolicyVersion, offset int64) events.State {
		s, _ = rules.Apply(s, &events.Event{
			ID: string(v) + typ.String(), Source: "/app", Type: typ, Method: events.ByPerson, Subject: person, Policy: v, Decided: events.Millis(1000 * (offset + 1)),
			Logged: events.Stamp{Position: events.Position{Generation: 1, Offset: offset}, Appended: events.Millis(1000*(offset+1) + 1)},
		})
		return s
	}
	one := deemedAt(accepts, moment(t, "2026-12-20 00:00"))
	require.Equal(t, events.PolicyVersion("1"), one.Version)
	s := tell(events.State{}, events.AgreementStarted, "", 0)
	require.Equal(t, accepted, judge(rules, s, one))
	require.Equal(t, already, judge(rules, tell(s, events.PolicyAccepted, "1", 1), one))
	require.Equal(t, already, judge(rules, tell(s, events.PolicyAccepted, "2", 1), one), "ahead of its day")
	require.Equal(t, accepted, judge(rules, tell(s, events.PolicyAccepted, "0", 1), one))
}

func TestAMappingReadsWhatItNamesAndNothingElse(t *testing.T) {
	r := &stream.Record{
		Time: 5_000, Key: []byte("k-1"), Value: []byte(`{"user":{"id":"v-1","n":7},"ts":1700000000123,"day":"2026-11-20T10:00:00Z"}`),
		Headers: recordbatch.Headers{}.Append("x-user", []byte("h-1")).Append("x-at", []byte("1700000000456")),
	}
	for _, c := range []struct {
		subject, time, id string
		at                events.Millis
	}{
		{"key", "", "k-1", 5_000},
		{"header:x-user", "header:x-at", "h-1", 1_700_000_000_456},
		{"value:user.id", "value:ts", "v-1", 1_700_000_000_123},
		{"value:user.id", "value:day", "v-1", events.MillisOf(moment(t, "2026-11-20 15:00"))},
		{"value:user.n", "", "", 0},
		{"value:user.none", "", "", 0},
		{"value:user", "", "", 0},
		{"header:x-none", "", "", 0},
		{"key", "value:user.id", "", 0},
	} {
		m, err := ParseMapping(c.subject, c.time)
		require.NoError(t, err)
		got, err := m.read(r)
		if c.id == "" {
			require.Error(t, err, "%s %s", c.subject, c.time)
			continue
		}
		require.NoError(t, err)
		require.Equal(t, c.id, got.Subject.Reveal())
		require.Equal(t, c.at, got.At)
	}
	for _, bad := range [][2]string{{"value:", ""}, {"header:", ""}, {"keys", ""}, {"", "key"}, {"key", "value"}} {
		_, err := ParseMapping(bad[0], bad[1])
		require.Error(t, err, "%v", bad)
	}
}

func TestWhoWasSeenLongAgoIsForgottenAndNobodyElse(t *testing.T) {
	var s seen
	person := func(n int) events.Subject {
		p, err := events.ParseSubject("p" + strconv.Itoa(n))
		require.NoError(t, err)
		return p
	}
	s.add(person(0), "1")
	require.True(t, s.has(person(0), "1"))
	require.False(t, s.has(person(0), "2"))
	for n := range 2*maxSeen + 2 {
		if n%1000 == 0 {
			require.True(t, s.has(person(0), "1"), "met again and again")
		}
		s.add(person(n+1), "1")
	}
	require.LessOrEqual(t, len(s.young)+len(s.old), 2*maxSeen)
	require.False(t, s.has(person(1), "1"))
}

// The common case by far: somebody who accepted long ago, and clicks.
func BenchmarkUseOfWhoAcceptedAlready(b *testing.B) {
	k := &known{appended: map[events.PolicyVersion]time.Time{events.SeedPolicy: time.Unix(1_793_500_000, 0)}}
	k.book, _ = k.book.With(versions.Seed())
	in := NewIntake("clicks", Mapping{}, Shared{Publications: k, Now: func() time.Time { return time.Unix(1_800_000_000, 0) }})
	in.mapping, _ = ParseMapping("value:user.id", "value:ts")
	r := &stream.Record{Time: 1_799_000_000_000, Value: []byte(`{"user":{"id":"person-1"},"page":"/films/17","ts":1799000000000}`)}
	accepts := deemedVersions(k)
	if c, _ := in.candidate(accepts, 0, r); c == nil {
		b.Fatal("is no candidate")
	} else {
		in.seen.add(c.Subject, c.version.Version)
	}
	b.ReportAllocs()
	for b.Loop() {
		if c, v := in.candidate(accepts, 0, r); c != nil || v != already {
			b.Fatal(v)
		}
	}
}
