package audit

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/cloudevents/sdk-go/v2/binding"
	"github.com/segmentio/kafka-go"
	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/events/cekafka"
	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/internal/oncall/exit"
)

// topic takes what is published, until it fails.
type topic struct {
	messages []stream.Message
	fails    error
}

func (l *topic) Publish(_ context.Context, m stream.Message) (stream.Ack, error) {
	if l.fails != nil {
		return stream.Ack{}, l.fails
	}
	l.messages = append(l.messages, m)
	return stream.Ack{Offset: int64(len(l.messages) - 1)}, nil
}

func (l *topic) recorder() *Recorder {
	return &Recorder{Publisher: l, Topic: "audit", Who: Who{Operator: "aigerim", Reason: "incident 12", Context: "prod"}}
}

// entries reads what was published as any CloudEvents consumer does.
func (l *topic) entries(t *testing.T) (all []Entry) {
	t.Helper()
	for _, m := range l.messages {
		record := kafka.Message{Key: m.Key, Value: m.Value}
		for _, h := range m.Headers {
			record.Headers = append(record.Headers, kafka.Header{Key: h.Key, Value: h.Value})
		}
		e, err := binding.ToEvent(t.Context(), cekafka.NewMessage(record))
		require.NoError(t, err)
		require.NoError(t, e.Validate())
		require.Equal(t, Type, e.Type())
		var entry Entry
		require.NoError(t, e.DataAs(&entry))
		require.Equal(t, entry.Act+"-"+string(entry.Phase), e.ID())
		all = append(all, entry)
	}
	return all
}

var act = Act{Command: "offsets move", Plan: map[string]int{"partitions": 12}}

func TestActsAreRecordedBeforeAndAfter(t *testing.T) {
	var l topic
	err := l.recorder().Do(t.Context(), act, func(context.Context) (string, error) {
		require.Len(t, l.messages, 1, "begun stands in the log before anything is done")
		return "12 moved", nil
	})
	require.NoError(t, err)
	all := l.entries(t)
	require.Len(t, all, 2)
	hash, err := Hash(act.Plan)
	require.NoError(t, err)
	for i, phase := range []Phase{Begun, Done} {
		require.Equal(t, phase, all[i].Phase)
		require.Equal(t, all[0].Act, all[i].Act)
		require.Equal(t, l.recorder().Who, all[i].Who)
		require.Equal(t, "offsets move", all[i].Command)
		require.Equal(t, hash, all[i].Plan)
	}
	require.Nil(t, all[0].Ended)
	require.Equal(t, "12 moved", all[1].Result)
	require.False(t, all[1].Ended.Before(all[1].Begun))
}

func TestWhatCannotBeRecordedIsNotDone(t *testing.T) {
	l := topic{fails: errors.New("no such topic")}
	err := l.recorder().Do(t.Context(), act, func(context.Context) (string, error) {
		t.Error("it was done")
		return "", nil
	})
	require.Equal(t, exit.Refused, exit.Code(err))
	require.ErrorContains(t, err, "no such topic")
}

func TestWhatIsForbiddenIsShownAndNotDone(t *testing.T) {
	var l topic
	forbidden := act
	forbidden.Forbidden = exit.Refuse("a second operator must agree")
	do := func(context.Context) (string, error) {
		t.Error("it was done")
		return "", nil
	}
	require.NoError(t, DryRun{}.Do(t.Context(), forbidden, do))
	require.Equal(t, forbidden.Forbidden, l.recorder().Do(t.Context(), forbidden, do))
	require.Empty(t, l.messages)
}

func TestWhoAgreedIsRecorded(t *testing.T) {
	var l topic
	agreed := act
	agreed.Approver = "dana"
	require.NoError(t, l.recorder().Do(t.Context(), agreed, func(context.Context) (string, error) { return "", nil }))
	for _, e := range l.entries(t) {
		require.Equal(t, Who{Operator: "aigerim", Approver: "dana", Reason: "incident 12", Context: "prod"}, e.Who)
	}
}

func TestFailuresAndInterruptionsAreRecorded(t *testing.T) {
	for phase, cause := range map[Phase]error{
		Failed: errors.New("broker is down"), Partly: &exit.PartlyError{Err: context.Canceled, Resume: "again"},
	} {
		var l topic
		ctx, cancel := context.WithCancel(t.Context())
		err := l.recorder().Do(ctx, act, func(context.Context) (string, error) {
			cancel() // a signal
			return "3 of 12", cause
		})
		require.ErrorIs(t, err, cause)
		all := l.entries(t)
		require.Equal(t, phase, all[1].Phase)
		require.Equal(t, "3 of 12", all[1].Result)
		require.Contains(t, all[1].Error, cause.Error())
	}
}

func TestAnEndThatCannotBeRecordedIsTold(t *testing.T) {
	var l topic
	err := l.recorder().Do(t.Context(), act, func(context.Context) (string, error) {
		l.fails = errors.New("kafka is gone")
		return "moved", nil
	})
	require.ErrorContains(t, err, "offsets move is done, but its end is not recorded: kafka is gone")
	require.Equal(t, exit.Failed, exit.Code(err))
}

func TestDryRunDoesNothing(t *testing.T) {
	require.NoError(t, DryRun{}.Do(t.Context(), act, func(context.Context) (string, error) {
		t.Error("it was done")
		return "", nil
	}))
}

func TestAnyChangeOfAPlanIsAnotherPlan(t *testing.T) {
	one, err := Hash(struct{ From, To int64 }{1, 2})
	require.NoError(t, err)
	two, err := Hash(struct{ From, To int64 }{1, 3})
	require.NoError(t, err)
	require.NotEqual(t, one, two)
	require.True(t, strings.HasPrefix(one, "sha256:"))
	_, err = Hash(func() {})
	require.ErrorContains(t, err, "hash of the plan")
}

func TestLongTextsAreCutAtACharacter(t *testing.T) {
	require.Equal(t, strings.Repeat("ж", maxText/2)+"…", clip(strings.Repeat("ж", maxText)))
	require.Equal(t, "short", clip("short"))
}

func TestHistoryShowsEachActOnceWithItsEnd(t *testing.T) {
	at := time.Date(2026, 11, 25, 3, 0, 0, 0, time.UTC)
	var h History
	h.Add(Entry{Act: "a", Phase: Begun, Command: "replay", Begun: at, Plan: "sha256:0123456789abcdef", Who: Who{Operator: "aigerim", Approver: "dana", Reason: "why"}})
	h.Add(Entry{Act: "b", Phase: Begun, Command: "rebuild", Begun: at.Add(time.Minute)})
	h.Add(Entry{Act: "a", Phase: Done, Command: "replay", Result: "5 denied", Begun: at, Plan: "sha256:0123456789abcdef", Who: Who{Operator: "aigerim", Approver: "dana", Reason: "why"}})
	var b strings.Builder
	h.Text(&b)
	require.Equal(t, "BEGUN                 PHASE  OPERATOR      COMMAND  RESULT    REASON  PLAN\n"+
		"2026-11-25T03:00:00Z  done   aigerim+dana  replay   5 denied  why     sha256:0123456789ab\n"+
		"2026-11-25T03:01:00Z  begun                rebuild  -                 \n", b.String())
	h.Keep(func(e *Entry) bool { return e.Command == "rebuild" })
	require.Len(t, h.Acts, 1)
}
