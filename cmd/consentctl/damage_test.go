package main

import (
	"fmt"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/events"
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
