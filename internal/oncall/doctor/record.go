package doctor

import (
	"cmp"
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/cloudevent"
	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/schemas"
)

// record is what the doctor keeps of a record of the events topic. It holds
// nothing of the subject.
type record struct {
	at       events.Position
	home     int32 // the partition that its key belongs in; -1 without a key
	source   string
	kind     string // CloudEvents type
	fault    string // what its schema says against it; nothing is well
	read     bool   // the codec takes it, and the rest is known
	permits  bool
	ended    bool            // a barrier: the partition has ended
	first    events.Position // where it first stood, of what was published again
	policy   events.PolicyVersion
	decided  time.Time
	appended time.Time
	stamped  bool // the time is the broker's
}

// unknownSource stands for a source that a record does not name.
const unknownSource = "(no source)"

// records returns the newest records of every partition of the events topic.
func (e *Env) records(ctx context.Context) ([]record, error) {
	return e.sampled.get(func() ([]record, error) {
		compiled, err := schemas.Compiled()
		if err != nil {
			return nil, err
		}
		rules, err := e.Rules(ctx)
		if err != nil {
			return nil, err
		}
		partitions, err := e.partitions()
		if err != nil {
			return nil, err
		}
		eye := eye{e.Generation, partitions, cloudevent.Decoder{Rules: rules}, compiled}
		var out []record
		err = e.tail(ctx, e.Topics.Events, cmp.Or(e.Sample, DefaultSample), func(r *stream.Record) error {
			out = append(out, eye.see(r))
			return nil
		})
		return out, err
	})
}

// eye is what a record is looked at with.
type eye struct {
	generation uint32
	partitions int32
	decoder    cloudevent.Decoder
	schemas    schemas.Set
}

func (e *eye) see(r *stream.Record) record {
	out := record{
		at:   events.Position{Generation: e.generation, Partition: r.Partition, Offset: r.Offset},
		home: -1, appended: time.UnixMilli(r.Time), stamped: r.LogAppend,
	}
	if r.Key != nil {
		out.home = stream.Partition(r.Key, int(e.partitions))
		if string(r.Key) == cloudevent.BarrierKey {
			out.home = r.Partition // written to where it is
		}
	}
	document := structured(r)
	out.source, out.kind = strings.Clone(textOf(document, "source")), strings.Clone(textOf(document, "type"))
	if out.source == "" {
		out.source = unknownSource
	}
	out.fault = faultOf(e.schemas, out.kind, document)
	var event events.Event
	if err := e.decoder.Decode(r, &event); err == nil {
		out.read, out.permits = true, !event.Type.Restricts() && !event.Type.OfLog()
		out.ended = event.Type == events.LogBarrier && event.Barrier.Stage == events.StageEnded
		out.first = event.First.Position
		out.policy, out.decided = events.PolicyVersion(strings.Clone(string(event.Policy))), event.Decided.Time()
	}
	return out
}

// structured returns a record as the JSON document that schemas describe: the
// value of one in structured mode, else its attributes and its data.
func structured(r *stream.Record) map[string]any {
	document := make(map[string]any)
	for headers := r.Headers; headers.Len() > 0; {
		key, value := headers.Next()
		name, ours := strings.CutPrefix(strings.ToLower(string(key)), "ce_")
		switch {
		case ours:
			document[name] = string(value)
		case strings.EqualFold(string(key), "content-type"):
			if strings.HasPrefix(string(value), "application/cloudevents") {
				whole, _ := decodeJSON(r.Value).(map[string]any)
				return whole
			}
			document["datacontenttype"] = string(value)
		}
	}
	document["data"] = decodeJSON(r.Value)
	return document
}

// decodeJSON returns nil for what is none.
func decodeJSON(text []byte) (v any) {
	if json.Unmarshal(text, &v) != nil {
		return nil
	}
	return v
}

func textOf(document map[string]any, name string) string {
	text, _ := document[name].(string)
	return text
}

// tail calls each with the newest n records of every partition of a topic. A
// record is valid during the call.
func (e *Env) tail(ctx context.Context, topic string, n int, each func(*stream.Record) error) error {
	reader, err := e.Reader(topic)
	if err != nil {
		return err
	}
	defer reader.Close()
	offsets, err := reader.Offsets(ctx)
	if err != nil {
		return err
	}
	ranges := make(map[int32]stream.Range, len(offsets))
	for partition, o := range offsets {
		if o.First < o.End {
			ranges[partition] = stream.Range{From: max(o.First, o.End-int64(n)), To: o.End}
		}
	}
	return reader.Read(ctx, ranges, func(b *stream.Batch) error {
		for i := range b.Records {
			if err := each(&b.Records[i]); err != nil {
				return err
			}
		}
		return nil
	})
}
