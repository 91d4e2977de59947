package main

import (
	"encoding/json"
	"os"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/internal/testservice"
)

// What the scripts about parked events and offsets can do beside the rest:
//
//	block WHO, unblock WHO, erase WHO    publish that
//	nobody                               publish a record whose key is a telephone number
//	correction FILE WHO TYPE [ID]        write an event of /test with the id of the last rubbish, or another, to a file
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
	scriptCommands["correction"] = func(ts *testscript.TestScript, _ bool, args []string) {
		id := ts.Getenv("id")
		if len(args) > 3 {
			id = args[3]
		}
		e := map[string]any{
			"specversion": "1.0", "id": id, "source": "/test", "type": "io.kelisim." + args[2] + ".v1", "subject": args[1], "partitionkey": args[1],
			"time": time.Now().UTC().Format(time.RFC3339Nano), "purposes": "promotion", "datacontenttype": "application/json", "data": map[string]string{"channel": "app"},
		}
		if args[2] == "consent.granted" {
			e["method"], e["policyversion"], e["evidence"] = "person", "2026-11", "urn:test:evidence:1"
		}
		ts.Check(os.WriteFile(ts.MkAbs(args[0]), must(json.Marshal(e)), 0o600))
	}
	scriptCommands["group"] = func(ts *testscript.TestScript, _ bool, args []string) {
		ts.Setenv("group", testservice.GroupOf(args[0], benchOf(ts).Topics.Events))
	}
}
