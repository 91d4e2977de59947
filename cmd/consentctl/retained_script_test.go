package main

import (
	"strconv"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/internal/oncall/basis"
)

// What the scripts about retention can do beside the rest:
//
//	snapped      wait until the snapshots are as far as the log
//	forget N     the log loses all but the last N records of each partition
func init() {
	scriptCommands["snapped"] = func(ts *testscript.TestScript, _ bool, _ []string) {
		b, t := benchOf(ts), testingOf(ts)
		reader := must(b.Reader(b.Topics.State))
		defer reader.Close()
		ends := must(must(b.Admin()).Offsets(t.Context(), b.Topics.Events))
		require.Eventually(t, func() bool {
			for p, o := range ends {
				read, why, err := basis.Read(t.Context(), reader, p, b.Generation, func(events.Subject, events.State) error { return nil })
				ts.Check(err)
				if o.End > 0 && (why != "" || read.From < o.End) {
					return false
				}
			}
			return true
		}, time.Minute, 100*time.Millisecond)
	}
	scriptCommands["forget"] = func(ts *testscript.TestScript, _ bool, args []string) {
		b, t := benchOf(ts), testingOf(ts)
		at := make(kadm.Offsets)
		for p, o := range must(must(b.Admin()).Offsets(t.Context(), b.Topics.Events)) {
			at.Add(kadm.Offset{Topic: b.Topics.Events, Partition: p, At: max(0, o.End-int64(must(strconv.Atoi(args[0]))))})
		}
		_, err := b.kafka.Admin(t).DeleteRecords(t.Context(), at)
		ts.Check(err)
	}
}
