package main

import (
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/internal/cache"
)

// What the scripts about replays can do beside the rest:
//
//	lose SERVICE WHO         delete what a service holds of a person, by hand
//	spoil SERVICE WHO TEXT   overwrite it
func init() {
	scriptCommands["lose"] = func(ts *testscript.TestScript, _ bool, args []string) { spoil(ts, args[0], args[1], "") }
	scriptCommands["spoil"] = func(ts *testscript.TestScript, _ bool, args []string) { spoil(ts, args[0], args[1], args[2]) }
}

func spoil(ts *testscript.TestScript, service, who, with string) {
	b, ctx := benchOf(ts), testingOf(ts).Context()
	mender := must(cache.OpenMender(ctx, b.client, service, nil))
	partition := mender.Layout().PartitionOf(must(events.ParseSubject(who)))
	for _, key := range b.client.Keys(ctx, mender.Layout().Prefix(partition)+"s:*").Val() {
		if !b.client.HExists(ctx, key, who).Val() {
			continue
		}
		if with == "" {
			ts.Check(b.client.HDel(ctx, key, who).Err())
		} else {
			ts.Check(b.client.HSet(ctx, key, who, with).Err())
		}
		return
	}
	ts.Fatalf("%s holds nothing of %s", service, who)
}
