package window_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/kelisim/kelisim/deploy"
	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/internal/oncall/exit"
	"github.com/kelisim/kelisim/internal/oncall/window"
	"github.com/kelisim/kelisim/internal/testenv"
)

const partitions = 3

// shelf is a log of some records in each partition.
type shelf struct {
	*stream.Admin
	topic string
	kafka *testenv.Broker
	times map[int32][]int64 // append times of the records, in milliseconds
}

func newShelf(t *testing.T, records int) *shelf {
	s := &shelf{kafka: testenv.Kafka(t), times: make(map[int32][]int64)}
	s.topic = s.kafka.Deployed(t, deploy.EventsTopic, partitions)
	conf := stream.Config{Brokers: []string{s.kafka.Addr()}}
	var err error
	s.Admin, err = stream.NewAdmin(conf)
	require.NoError(t, err)
	producer, err := stream.NewProducer(stream.ProducerConfig{Config: conf})
	require.NoError(t, err)
	defer func() { require.NoError(t, producer.Close(t.Context())) }()
	for i := range records * partitions { // one by one, so that they are not all of one millisecond
		_, err := producer.Publish(t.Context(), stream.Message{Topic: s.topic, Partition: int32(i % partitions), Key: fmt.Append(nil, i), Value: []byte("{}")})
		require.NoError(t, err)
	}
	reader, err := stream.NewReader(stream.ReaderConfig{Config: conf, Topic: s.topic})
	require.NoError(t, err)
	defer reader.Close()
	whole := map[int32]stream.Range{}
	for p := range int32(partitions) {
		whole[p] = stream.Range{To: int64(records)}
	}
	require.NoError(t, reader.Read(t.Context(), whole, func(b *stream.Batch) error {
		for _, r := range b.Records {
			s.times[b.Partition] = append(s.times[b.Partition], r.Time)
		}
		return nil
	}))
	return s
}

// first returns the first record of a time or later.
func (s *shelf) first(partition int32, at time.Time) int64 {
	n := slices.IndexFunc(s.times[partition], func(millis int64) bool { return millis >= at.UnixMilli() })
	if n < 0 {
		n = len(s.times[partition])
	}
	return int64(n)
}

func (s *shelf) parts(t *testing.T, w window.Window) map[int32]window.Part {
	t.Helper()
	parts, err := w.Parts(t.Context(), s, s.topic, partitions)
	require.NoError(t, err)
	return parts
}

func TestWindowsAreOfTimesAndOfOffsets(t *testing.T) {
	s := newShelf(t, 40)
	whole := window.Window{}
	require.False(t, whole.Bounded())
	for p, part := range s.parts(t, whole) {
		require.Equal(t, window.Part{Range: stream.Range{To: 40}, Log: stream.Offsets{End: 40}}, part, "partition %d", p)
	}

	since, until := time.UnixMilli(s.times[0][10]), time.UnixMilli(s.times[2][30])
	of := window.Window{Since: since, Until: until}
	require.True(t, of.Bounded())
	parts := s.parts(t, of)
	require.Len(t, parts, partitions)
	for p, part := range parts {
		require.Equal(t, stream.Range{From: s.first(p, since), To: s.first(p, until)}, part.Range, "partition %d", p)
	}

	of = window.Window{Partitions: []int32{1}, From: 7, To: 9}
	require.Equal(t, map[int32]window.Part{1: {Range: stream.Range{From: 7, To: 9}, Log: stream.Offsets{End: 40}}}, s.parts(t, of))
	of.To = 4711
	require.Equal(t, stream.Range{From: 7, To: 40}, s.parts(t, of)[1].Range)
	of.Until = time.UnixMilli(s.times[1][20])
	require.Equal(t, stream.Range{From: 7, To: s.first(1, of.Until)}, s.parts(t, of)[1].Range, "both limit it")
}

func TestWindowsInWhichNothingStandsAreRefused(t *testing.T) {
	s := newShelf(t, 5)
	who, err := events.ParseSubject("somebody")
	require.NoError(t, err)
	own := events.PartitionOf(who.Reveal(), partitions)
	for text, w := range map[string]window.Window{
		"nothing of the log is selected": {Until: time.Now().Add(-time.Hour)},
		"offsets are of one partition":   {To: 3},
		"has none of that number":        {Partitions: []int32{partitions}},
		"the subject's events are in":    {Subject: who, Partitions: []int32{(own + 1) % partitions}},
	} {
		parts, err := w.Parts(t.Context(), s, s.topic, partitions)
		if err == nil {
			err = window.Some(parts)
		}
		require.ErrorContains(t, err, text)
		require.Equal(t, exit.Usage, exit.Code(err))
	}
	require.Len(t, s.parts(t, window.Window{Subject: who}), 1)
	_, err = (&window.Window{}).Parts(t.Context(), s, s.topic, partitions+1)
	require.Equal(t, exit.Refused, exit.Code(err), "another layout: subjects are elsewhere")
}

// What the log has lost may have been of the window: then it says so.
func TestWindowsSayWhereTheLogHasLostTheirBeginning(t *testing.T) {
	s := newShelf(t, 20)
	_, err := s.kafka.Admin(t).DeleteRecords(t.Context(), kadm.Offsets{s.topic: {0: kadm.Offset{Topic: s.topic, Partition: 0, At: 12}}})
	require.NoError(t, err)
	long := time.Now().Add(-time.Hour)
	parts := s.parts(t, window.Window{Since: long})
	require.Equal(t, window.Part{Range: stream.Range{From: 12, To: 20}, Log: stream.Offsets{First: 12, End: 20}, Cut: true}, parts[0])
	require.False(t, parts[1].Cut, "the others have all")
	require.False(t, s.parts(t, window.Window{Partitions: []int32{0}, From: 12})[0].Cut, "it was asked for that much")
	require.False(t, s.parts(t, window.Window{Partitions: []int32{0}, From: 13})[0].Cut)

	_, err = (&window.Window{Partitions: []int32{0}, From: 3}).Parts(t.Context(), s, s.topic, partitions)
	require.Equal(t, exit.Refused, exit.Code(err))
	require.ErrorContains(t, err, "partition 0: the log begins at 12, after 3")
	err = window.Some(s.parts(t, window.Window{Until: long}))
	require.Equal(t, exit.Refused, exit.Code(err), "an empty window in front of the beginning is none in which nothing came")
	require.ErrorContains(t, err, "partition 0 has lost what was in front of 12")
	require.NoError(t, window.Some(parts))
}
