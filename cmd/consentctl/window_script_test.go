package main

import (
	"fmt"
	"runtime"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/kelisim/kelisim/events"
)

// What the scripts about windows can do beside the rest:
//
//	pause        $pause1, $pause2, … is a moment behind all that was published, and in front of all that comes
//	place WHO    $partition is the person's
func init() {
	scriptCommands["pause"] = func(ts *testscript.TestScript, _ bool, _ []string) {
		n := 1
		for ts.Getenv(fmt.Sprint("pause", n)) != "" {
			n++
		}
		at := time.Now().Truncate(time.Millisecond).Add(time.Millisecond) // the log tells times to the millisecond
		for time.Now().Before(at) {
			runtime.Gosched()
		}
		ts.Setenv(fmt.Sprint("pause", n), at.UTC().Format(time.RFC3339Nano))
	}
	scriptCommands["place"] = func(ts *testscript.TestScript, _ bool, args []string) {
		ts.Setenv("partition", fmt.Sprint(events.PartitionOf(args[0], benchOf(ts).layout(testingOf(ts), "marketing").Partitions)))
	}
}
