package cache

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/internal/testenv"
)

func TestFieldNamesTheSubject(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		id := rapid.OneOf(
			rapid.StringMatching(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`),
			rapid.StringMatching(`[0-9a-fA-F-]{36}`),
			rapid.StringMatching(`[a-z0-9._:~-]{1,40}`),
		).Draw(rt, "id")
		s, err := events.ParseSubject(id)
		if err != nil {
			return
		}
		field := appendField(nil, s)
		require.LessOrEqual(rt, len(field), len(id))
		back, err := subjectOf(string(field))
		require.NoError(rt, err)
		require.Equal(rt, s, back)
	})
	s, err := events.ParseSubject("0190f3c2-8a7b-7c1e-9d2f-3b4a5c6d7e8f")
	require.NoError(t, err)
	require.Equal(t, "#\x01\x90\xf3\xc2\x8a\x7b\x7c\x1e\x9d\x2f\x3b\x4a\x5c\x6d\x7e\x8f", string(appendField(nil, s)))
	capital, err := events.ParseSubject("0190F3C2-8A7B-7C1E-9D2F-3B4A5C6D7E8F")
	require.NoError(t, err)
	require.Equal(t, capital.Reveal(), string(appendField(nil, capital)), "another subject")
}

func TestEverySubjectHasItsPlace(t *testing.T) {
	l := Layout{Service: "marketing", Topic: "t", Generation: 3, Partitions: 12, Buckets: 100}
	require.NoError(t, l.Validate())
	used := make(map[[2]int32]int)
	for i := range 24_000 {
		s, err := events.ParseSubject(fmt.Sprintf("s-%d", i))
		require.NoError(t, err)
		p, b := l.place(s)
		require.Equal(t, l.PartitionOf(s), p, "where Kafka puts it")
		require.True(t, b >= 0 && b < l.Buckets)
		used[[2]int32{p, b}]++
	}
	require.Len(t, used, 1200)
	for place, n := range used {
		require.Less(t, n, 60, "place %v: 20 on average", place)
	}
	require.Equal(t, "consent:{marketing/3/7}:", l.Prefix(7))
}

func TestImpossibleLayoutIsRefused(t *testing.T) {
	good := Layout{Service: "marketing", Topic: "t", Generation: 1, Partitions: 1, Buckets: 1}
	require.NoError(t, good.Validate())
	for name, spoil := range map[string]func(l *Layout){
		"no service":             func(l *Layout) { l.Service = "" },
		"a service with a brace": func(l *Layout) { l.Service = "a}b" },
		"no topic":               func(l *Layout) { l.Topic = "" },
		"no partitions":          func(l *Layout) { l.Partitions = 0 },
		"no buckets":             func(l *Layout) { l.Buckets = 0 },
		"more than one hash":     func(l *Layout) { l.Partitions, l.Buckets = 1<<20, 1<<20 },
	} {
		bad := good
		spoil(&bad)
		require.Error(t, bad.Validate(), name)
		_, err := NewMemory(bad, nil)
		require.Error(t, err, name)
	}
}

func TestDigestIsASumOfWhatIsStored(t *testing.T) {
	s, err := events.ParseSubject("s-1")
	require.NoError(t, err)
	rules := events.SeedRules()
	set, err := rules.Set("promotion")
	require.NoError(t, err)
	one, _ := rules.Apply(events.State{}, &events.Event{Method: events.ByPerson, Policy: events.SeedPolicy, ID: "1", Source: "web", Type: events.Granted, Subject: s, Decided: 1, Purposes: set})
	two, _ := rules.Apply(one, &events.Event{
		Method: events.ByPerson, Policy: events.SeedPolicy, ID: "2", Source: "web", Type: events.Withdrawn, Subject: s, Decided: 2, Purposes: set,
		Logged: events.Stamp{Position: events.Position{Offset: 1}},
	})
	var d Digest
	a := d.Swap(s, events.State{}, one)
	require.NotZero(t, a)
	b := a.Swap(s, one, two)
	require.Equal(t, d.Swap(s, events.State{}, two), b)
	require.Zero(t, b.Swap(s, two, events.State{}))
	require.Less(t, b, Digest(1<<48))
}

// TestHoldsAgreeWithTheScript compares what one position after another leaves in
// Redis with the model.
func TestHoldsAgreeWithTheScript(t *testing.T) {
	client := testenv.Redis(t).Client(t)
	script := redis.NewScript(holdsLua + holdLua)
	rapid.Check(t, func(rt *rapid.T) {
		require.NoError(rt, client.FlushAll(t.Context()).Err())
		var model holds
		steps := rapid.IntRange(1, 60).Draw(rt, "steps")
		for range steps {
			at := events.Position{Generation: 1, Partition: 2, Offset: int64(rapid.IntRange(0, 50).Draw(rt, "offset"))}
			if rapid.IntRange(0, 20).Draw(rt, "dismiss") == 0 {
				at = events.Position{}
			}
			release := rapid.IntRange(0, 2).Draw(rt, "release") == 0
			if at == (events.Position{}) {
				release = true
			}
			if release {
				model = model.release(at)
			} else {
				model = model.hold(at)
			}
			err := script.Run(t.Context(), client, []string{"held"}, flag(release), "s", at.String()).Err()
			require.NoError(rt, err)
			require.Equal(rt, string(model), client.HGet(t.Context(), "held", "s").Val())
		}
	})
}

func TestClockIsALowerBound(t *testing.T) {
	received := time.Now()
	c := clock{micros: 1_790_000_000_123_999, received: received}
	require.Equal(t, events.Millis(1_790_000_000_123), c.at(received))
	require.Equal(t, events.Millis(1_790_000_000_023), c.at(received.Add(-100*time.Millisecond)))
	require.Equal(t, events.Millis(1_790_000_000_223), c.at(received.Add(100*time.Millisecond)))
}

// answer is an error that Redis itself sent.
type answer string

func (a answer) Error() string { return string(a) }
func (answer) RedisError()     {}

func TestErrorsSayWhatHelps(t *testing.T) {
	for text, want := range map[string]error{
		"OOM command not allowed when used memory > 'maxmemory'. script: 1, on @user_script:3.": ErrFull,
		"WRONGTYPE Operation against a key holding the wrong kind of value":                     ErrDamaged,
		"LOADING Redis is loading the dataset in memory":                                        ErrUnavailable,
		"READONLY You can't write against a read only replica.":                                 ErrUnavailable,
		"CLUSTERDOWN The cluster is down":                                                       ErrUnavailable,
		"MOVED 3999 127.0.0.1:6381":                                                             ErrUnavailable,
		"TRYAGAIN Multiple keys request during rehashing of slot":                               ErrUnavailable,
		"MISCONF Redis is configured to save RDB snapshots, but it is unable to":                ErrUnavailable,
		"NOPERM this user has no permissions to run the 'evalsha' command":                      nil,
		"ERR unknown command": nil,
	} {
		err := classify(answer(text))
		require.ErrorContains(t, err, text)
		for _, kind := range []error{ErrFull, ErrDamaged, ErrUnavailable} {
			require.Equal(t, kind == want, errors.Is(err, kind), "%s: %v", text, kind)
		}
	}
	require.NoError(t, classify(nil))
	require.NoError(t, classify(redis.Nil))
	away := errors.New("connection refused")
	require.ErrorIs(t, classify(away), ErrUnavailable)
	require.ErrorIs(t, classify(away), away)
}

func TestStrangeRepliesAreErrors(t *testing.T) {
	good := []any{"0", "1790000000", "5", "7", "10", "", "", "0", "0", "0", "10", "0", ""}
	_, err := parseMark(good)
	require.NoError(t, err)
	for i := range good {
		for _, junk := range []any{"x", int64(1), []any{}, true} {
			if (i == 5 || i == 12) && junk == "x" {
				continue // any text marks it torn, and one that is no stage takes nothing
			}
			bad := append([]any{}, good...)
			bad[i] = junk
			_, err := parseMark(bad)
			require.Error(t, err, "value %d: %v", i, junk)
		}
	}
	for _, v := range []any{nil, "OK", int64(1), []any{}, good[:11]} {
		_, err := parseMark(v)
		require.Error(t, err)
		_, err = parseView(v)
		require.Error(t, err)
	}
}

func TestConnectMakesEveryLimitExplicit(t *testing.T) {
	_, err := Connect(Options{})
	require.Error(t, err, "no address")

	old := &tls.Config{MinVersion: tls.VersionTLS10, ServerName: "redis"}
	single, err := Connect(Options{Addrs: []string{"127.0.0.1:1"}, Username: "u", Password: "p", TLS: old})
	require.NoError(t, err)
	defer single.Close()
	o := single.(*redis.Client).Options()
	require.Equal(t, []any{0, true, 1, -1, 2}, []any{o.MaxRetries, o.ContextTimeoutEnabled, o.DialerRetries, o.PipelinePoolSize, o.Protocol})
	require.Equal(t, []string{"u", "p", "redis"}, []string{o.Username, o.Password, o.TLSConfig.ServerName})
	require.Equal(t, uint16(tls.VersionTLS12), o.TLSConfig.MinVersion)
	require.Equal(t, uint16(tls.VersionTLS10), old.MinVersion, "the caller's own is left alone")
	require.Equal(t, commandTimeout, o.ReadTimeout)

	cluster, err := Connect(Options{Addrs: []string{"127.0.0.1:1"}, Cluster: true})
	require.NoError(t, err)
	defer cluster.Close()
	require.IsType(t, &redis.ClusterClient{}, cluster)
	behind, err := Connect(Options{Addrs: []string{"127.0.0.1:1"}, MasterName: "primary"})
	require.NoError(t, err)
	defer behind.Close()
	require.IsType(t, &redis.Client{}, behind)
}

func TestServerThatIsNoRedisIsRefused(t *testing.T) {
	server := testenv.Redis(t)
	client := server.Client(t)
	server.Stop(t)
	_, err := NewRedis(t.Context(), client, Layout{Service: "marketing", Topic: "t", Partitions: 1, Buckets: 1}, slog.New(slog.DiscardHandler))
	require.ErrorIs(t, err, ErrUnavailable)
	_, err = NewRedis(t.Context(), client, Layout{}, slog.New(slog.DiscardHandler))
	require.ErrorContains(t, err, "layout")
}
