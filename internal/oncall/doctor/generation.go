package doctor

import (
	"context"
	"fmt"
	"time"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/cloudevent"
	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/internal/oncall/topics"
)

// leftBehind bounds how long a record behind the end of a log is told of: whoever
// writes there now is a producer that was left behind.
const leftBehind = 24 * time.Hour

// checkGeneration finds a log that has ended and is still configured, and producers
// that write behind the end of the one before: what they write counts for nobody until
// it is published again.
func checkGeneration(ctx context.Context, e *Env) ([]Finding, error) {
	newest, err := e.records(ctx)
	if err != nil {
		return nil, err
	}
	ended, again := 0, make(map[events.Position]bool)
	for i := range newest {
		if newest[i].ended {
			ended++
		}
		again[newest[i].first] = true
	}
	var out []Finding
	if ended > 0 {
		out = append(out, Finding{
			Severity: Critical, Object: e.Topics.Events, Found: fmt.Sprintf("%d partitions have ended: no decision in them counts any more", ended),
			Fix: "finish it: consentctl topics generation new --apply; then set topics.events, topics.state and topics.generation of whoever still has these",
		})
	}
	if e.Generation <= 1 {
		return out, nil
	}
	before := topics.NameOf(e.Topics.Events, e.Generation-1)
	behind, at, err := e.behindEnd(ctx, before, again)
	if err == nil && behind > 0 {
		out = append(out, Finding{
			Severity: Critical, Object: before,
			Found: fmt.Sprintf("%d records stand behind the barriers and not in %s, the newest of %s", behind, e.Topics.Events, at.UTC().Format(time.RFC3339)),
			Fix: fmt.Sprintf("find who writes there and send them to %s; then publish them again: with the settings of generation %d, "+
				"consentctl topics generation new --apply", e.Topics.Events, e.Generation-1),
		})
	}
	return out, err
}

// behindEnd counts the newest records of the log before that stand behind a barrier and
// were not published again.
func (e *Env) behindEnd(ctx context.Context, topic string, again map[events.Position]bool) (n int, newest time.Time, err error) {
	all, _, err := e.described(ctx)
	if _, there := all[topic]; err != nil || !there {
		return 0, newest, err // retention or somebody took it
	}
	ended, decoder := make(map[int32]bool), cloudevent.Decoder{}
	err = e.tail(ctx, topic, DefaultSample, func(r *stream.Record) error {
		var event events.Event
		readable := decoder.Decode(r, &event) == nil
		if readable && event.Type == events.LogBarrier {
			ended[r.Partition] = ended[r.Partition] || event.Barrier.Stage == events.StageEnded
			return nil
		}
		at := events.Position{Generation: e.Generation - 1, Partition: r.Partition, Offset: r.Offset}
		if appended := time.UnixMilli(r.Time); ended[r.Partition] && !again[at] && time.Since(appended) < leftBehind {
			n++
			if appended.After(newest) {
				newest = appended
			}
		}
		return nil
	})
	return n, newest, err
}
