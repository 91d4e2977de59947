package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/guard"
	"github.com/kelisim/kelisim/internal/cache"
)

// damage does to the cache of a service what only hands or a broken server do:
//
//	damage delete SERVICE WHO        the person's state is gone
//	damage copy SERVICE WHO FROM     the person's state is that of somebody else
//	damage unhold SERVICE WHO        what holds the person is gone
func init() {
	scriptCommands["damage"] = func(ts *testscript.TestScript, _ bool, args []string) {
		b, t := benchOf(ts), testingOf(ts)
		switch args[0] {
		case "delete":
			b.damage(t, args[1], args[2], "")
		case "copy":
			b.damage(t, args[1], args[2], b.stored(t, args[1], args[3]))
		case "unhold":
			require.NoError(t, b.client.HDel(t.Context(), b.layout(t, args[1]).Prefix(partitionOf(b.layout(t, args[1]), args[2]))+"held", args[2]).Err())
		default:
			ts.Fatalf("damage %s: unknown", args[0])
		}
	}
}

func (b *bench) layout(t testing.TB, service string) cache.Layout {
	t.Helper()
	all, err := b.Services(t.Context(), service)
	require.NoError(t, err)
	return all[0]
}

func partitionOf(l cache.Layout, who string) int32 {
	return l.PartitionOf(must(events.ParseSubject(who)))
}

// staged counts the buckets that a rebuild of a service has staged.
func (b *bench) staged(t testing.TB, service string) int {
	t.Helper()
	keys, err := b.client.Keys(t.Context(), "consent:{"+service+"/*:new:s:*").Result()
	require.NoError(t, err)
	return len(keys)
}

// bucket returns where a person's state is.
func (b *bench) bucket(t testing.TB, service, who string) (key, field string) {
	t.Helper()
	s, l := must(events.ParseSubject(who)), b.layout(t, service)
	return fmt.Sprintf("%ss:%d", l.Prefix(l.PartitionOf(s)), l.BucketOf(s)), string(cache.AppendField(nil, s))
}

func (b *bench) stored(t testing.TB, service, who string) string {
	t.Helper()
	key, field := b.bucket(t, service, who)
	state, err := b.client.HGet(t.Context(), key, field).Result()
	require.NoError(t, err)
	return state
}

// damage overwrites a person's state, or deletes it.
func (b *bench) damage(t testing.TB, service, who, state string) {
	t.Helper()
	key, field := b.bucket(t, service, who)
	if state == "" {
		require.NoError(t, b.client.HDel(t.Context(), key, field).Err())
		return
	}
	require.NoError(t, b.client.HSet(t.Context(), key, field, state).Err())
}

// What scripts wait for, and what they lose:
//
//	eventually consentctl ARGS…      run it until no "no receipt" of a running service is left, a moment at most
//	wait-stale SERVICE               wait until the service's guards deny
//	redis-forget SERVICE             lose the positions of the service's partitions
//	wait-staged SERVICE              wait until a rebuild of the service has staged states
//	staged SERVICE N                 want that the service has states that are staged, or none when N is 0
//	crowd N                          N people consent to promotion
func init() {
	scriptCommands["wait-staged"] = func(ts *testscript.TestScript, _ bool, args []string) {
		require.Eventually(testingOf(ts), func() bool { return benchOf(ts).staged(testingOf(ts), args[0]) > 0 }, 30*time.Second, time.Millisecond)
	}
	scriptCommands["staged"] = func(ts *testscript.TestScript, _ bool, args []string) {
		require.Equal(testingOf(ts), args[1] != "0", benchOf(ts).staged(testingOf(ts), args[0]) > 0)
	}
	scriptCommands["crowd"] = func(ts *testscript.TestScript, _ bool, args []string) {
		t, b := testingOf(ts), benchOf(ts)
		all := make([]stream.Message, must(strconv.Atoi(args[0])))
		for i := range all {
			all[i] = must(encoded(event(fmt.Sprint("crowd-", i), events.Granted, "promotion")))
			all[i].Topic = b.Topics.Events
		}
		_, err := b.producer.PublishAll(t.Context(), all)
		ts.Check(err)
		b.written += int64(len(all))
		b.settle(t)
	}
	scriptCommands["eventually"] = func(ts *testscript.TestScript, _ bool, args []string) {
		b := benchOf(ts)
		require.Eventually(testingOf(ts), func() bool {
			ts.Check(ts.Exec(args[0], args[1:]...))
			for line := range strings.Lines(ts.ReadFile("stdout")) {
				if n := strings.Count(line, "no receipt") + strings.Count(line, "not acted"); n > 2-len(b.running) {
					return false
				}
			}
			return true
		}, 30*time.Second, 50*time.Millisecond)
	}
	scriptCommands["wait-stale"] = func(ts *testscript.TestScript, _ bool, args []string) {
		b, t := benchOf(ts), testingOf(ts)
		reader := cache.NewReader(b.client, args[0])
		require.Eventually(t, func() bool {
			stands, err := reader.Stands(t.Context())
			require.NoError(t, err)
			return !slices.ContainsFunc(stands, func(s cache.Stand) bool { return s.Age <= guard.DefaultMaxStaleness })
		}, 30*time.Second, 50*time.Millisecond)
	}
	scriptCommands["redis-forget"] = func(ts *testscript.TestScript, _ bool, args []string) {
		b, t := benchOf(ts), testingOf(ts)
		l := b.layout(t, args[0])
		for p := range l.Partitions {
			require.NoError(t, b.client.HDel(t.Context(), l.Prefix(p)+"pos", "next").Err())
		}
	}
}
