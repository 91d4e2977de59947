package main

import (
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/internal/testservice"
)

// What the scripts about parked events and offsets can do beside the rest:
//
//	block WHO, unblock WHO, erase WHO    publish that
//	nobody                               publish a record whose key is a telephone number
//	group SERVICE                        set $group to the name of the running service's group
func init() {
	scriptCommands["block"] = scriptDecision(events.Blocked)
	scriptCommands["unblock"] = scriptDecision(events.Unblocked)
	scriptCommands["erase"] = scriptDecision(events.SubjectErased)
	scriptCommands["nobody"] = func(ts *testscript.TestScript, _ bool, _ []string) {
		at := benchOf(ts).append(testingOf(ts), stream.Message{Partition: stream.AnyPartition, Key: []byte("+77011234567"), Value: []byte("call me")})
		benchOf(ts).settle(testingOf(ts))
		ts.Setenv("position", at.String())
	}
	scriptCommands["group"] = func(ts *testscript.TestScript, _ bool, args []string) {
		ts.Setenv("group", testservice.GroupOf(args[0], benchOf(ts).Topics.Events))
	}
}
