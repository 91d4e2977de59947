package generation

import (
	"context"
	"fmt"
	"time"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/cloudevent"
	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/internal/cache"
	"github.com/kelisim/kelisim/internal/oncall/exit"
)

// openPartitions begins every partition of the new log with the barrier behind which
// states are entered. It must be the first record of all.
func (l *layout) openPartitions(ctx context.Context) (string, error) {
	ends, err := l.Admin.Offsets(ctx, l.New.Topic)
	if err != nil {
		return "", err
	}
	var barriers []cloudevent.Barrier
	read := make(map[int32]stream.Range)
	for p := range l.New.Partitions {
		if ends[p].End == 0 {
			barriers = append(barriers, cloudevent.Barrier{Generation: l.New.Generation, Partition: p, Stage: events.StageOpening.String(), Before: &l.Old})
			continue
		}
		read[p] = stream.Range{From: 0, To: 1}
	}
	opened := make(map[int32]bool)
	err = l.each(ctx, l.New.Topic, read, func(_ *stream.Record, e *events.Event) {
		_, reason := events.StageOpen.Turn(e.Barrier, e.Logged.Position)
		opened[e.Logged.Position.Partition] = e.Type == events.LogBarrier && reason == "" && e.Barrier.Stage == events.StageOpening
	})
	if err != nil {
		return "", err
	}
	for p := range read {
		if !opened[p] {
			return "", exit.Refuse("partition %d of topic %s does not begin with a barrier: somebody else wrote there; delete the topic and begin anew", p, l.New.Topic)
		}
	}
	acks, err := l.write(ctx, l.New.Topic, barriers)
	if err != nil || len(acks) == 0 {
		return "", err
	}
	for i, ack := range acks {
		if ack.Offset != 0 {
			return "", fmt.Errorf("the first barrier of partition %d of topic %s stands at %d: somebody else writes there", barriers[i].Partition, l.New.Topic, ack.Offset)
		}
	}
	return fmt.Sprintf("began %d partitions of %s", len(acks), l.New.Topic), nil
}

// endPartitions writes one barrier behind the last event of every old partition that
// has none. It is looked for where no service has been yet: whoever folded one says so.
func (l *layout) endPartitions(ctx context.Context) (string, error) {
	if len(l.waiting()) == 0 {
		l.ended = true
		return "", nil
	}
	ended, err := l.reached(ctx, l.Old, l.waiting(), (*service).Old, events.StageOpen, events.StageEnded)
	if err != nil {
		return "", err
	}
	var barriers []cloudevent.Barrier
	for p := range l.Old.Partitions {
		if !ended[p] {
			barriers = append(barriers, cloudevent.Barrier{Generation: l.Old.Generation, Partition: p, Stage: events.StageEnded.String(), Next: &l.New})
		}
	}
	l.ended = true // also when only some of them get there
	acks, err := l.write(ctx, l.Old.Topic, barriers)
	if err != nil || len(acks) == 0 {
		return "", err
	}
	return fmt.Sprintf("ended %d partitions of %s", len(acks), l.Old.Topic), nil
}

// reached says which partitions of a log have come to a stage, from the one before it:
// as a service says that has folded so far, or as a barrier does where none has been yet.
func (l *layout) reached(
	ctx context.Context, log cloudevent.Layout, services []*service, cacheOf func(*service) *cache.Inspector, before, stage events.Stage,
) (map[int32]bool, error) {
	done, from := make(map[int32]bool), make(map[int32]int64)
	for i, s := range services {
		spots, err := cacheOf(s).Spots(ctx, numbers(log.Partitions)...)
		if err != nil {
			return nil, err
		}
		for p, spot := range spots {
			p := int32(p)
			done[p] = done[p] || spot.Known && spot.Next > 0 && spot.Stage == stage
			if i == 0 || spot.Next < from[p] {
				from[p] = spot.Next
			}
		}
	}
	ends, err := l.Admin.Offsets(ctx, log.Topic)
	if err != nil {
		return nil, err
	}
	read := make(map[int32]stream.Range)
	for p, o := range ends {
		if at := max(from[p], o.First); !done[p] && at < o.End {
			read[p] = stream.Range{From: at, To: o.End}
		}
	}
	return done, l.each(ctx, log.Topic, read, func(_ *stream.Record, e *events.Event) {
		at := e.Logged.Position
		if e.Type != events.LogBarrier {
			return
		}
		turned, reason := before.Turn(e.Barrier, at)
		done[at.Partition] = done[at.Partition] || reason == "" && turned == stage
	})
}

// write appends barriers, each to its own partition.
func (l *layout) write(ctx context.Context, topic string, barriers []cloudevent.Barrier) ([]stream.Ack, error) {
	messages := make([]stream.Message, len(barriers))
	for i := range barriers {
		m, err := barriers[i].Message(time.Now())
		if err != nil {
			return nil, err
		}
		m.Topic = topic
		messages[i] = m
	}
	if len(messages) == 0 {
		return nil, nil
	}
	acks, err := l.Publisher.PublishAll(ctx, messages)
	if err != nil {
		return nil, fmt.Errorf("write %d barriers to %s: %w", len(messages), topic, err)
	}
	return acks, nil
}

// each reads ranges of a topic and calls f with every record, and its event where it
// is one.
func (l *layout) each(ctx context.Context, topic string, ranges map[int32]stream.Range, f func(*stream.Record, *events.Event)) error {
	if len(ranges) == 0 {
		return nil
	}
	reader, err := stream.NewReader(stream.ReaderConfig{Config: l.Kafka, Topic: topic})
	if err != nil {
		return err
	}
	defer reader.Close()
	generation, decoder := l.Old.Generation, cloudevent.Decoder{Rules: l.Rules}
	if topic == l.New.Topic {
		generation = l.New.Generation
	}
	return reader.Read(ctx, ranges, func(b *stream.Batch) error {
		for i := range b.Records {
			r := &b.Records[i]
			var e events.Event
			if decoder.Decode(r, &e) != nil {
				e = events.Event{}
			}
			e.Logged = events.Stamp{
				Position: events.Position{Generation: generation, Partition: b.Partition, Offset: r.Offset}, Appended: events.Millis(r.Time),
			}
			f(r, &e)
		}
		return nil
	})
}
