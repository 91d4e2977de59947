package main

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/guard"
)

// stopped is a story as it should go.
func stopped() *story {
	at := events.Position{Generation: 1, Partition: 7, Offset: 812}
	s := &story{number: 3, subject: "demo-x-3", purposes: []events.Purpose{"promotion"}, at: at}
	s.chapters = []chapter{{
		desk:   &desk{service: "marketing", purpose: "promotion", stops: "left the audience"},
		before: guard.Decision{Answer: events.Answer{Allowed: true, Reason: events.ByGrant}},
		after:  guard.Decision{Answer: events.Answer{Reason: events.ByWithdrawal, By: at}},
		denied: 2 * time.Millisecond, acted: 3 * time.Millisecond,
	}}
	return s
}

func TestStoryKnowsABrokenPromise(t *testing.T) {
	teller := &teller{}
	for _, c := range []struct {
		name  string
		spoil func(*story)
		broke bool
	}{
		{"as it should be", func(*story) {}, false},
		{"a guard was late", func(s *story) { s.chapters[0].denied = stopBound + 1 }, true},
		{"denied for another reason", func(s *story) { s.chapters[0].after.Reason = events.Stale }, true},
		{"denied by another event", func(s *story) { s.chapters[0].after.By.Offset++ }, true},
	} {
		s := stopped()
		c.spoil(s)
		s.promises = []promise{teller.stopsInTime(s), teller.explains(s)}
		require.Equal(t, !c.broke, s.held(), c.name)
		var out strings.Builder
		newPage(&out, nil).writeStory(s)
		require.Equal(t, c.broke, strings.Contains(out.String(), "BROKEN"), c.name)
	}
}

func TestStoryIsToldInTheOrderOfTime(t *testing.T) {
	s := stopped()
	s.promises = []promise{(&teller{}).stopsInTime(s)}
	var out strings.Builder
	newPage(&out, nil).writeStory(s)
	want := []string{"withdrawal 3 · demo-x-3", "before", "published", "2.0 ms  marketing  guard denies", "3.0 ms  marketing  left the audience", "after", "promises"}
	at := 0
	for _, text := range want {
		next := strings.Index(out.String()[at:], text)
		require.GreaterOrEqual(t, next, 0, "%q after %q", text, out.String()[:at])
		at += next
	}
}

func TestColoursAreLeftOutWhenAskedTo(t *testing.T) {
	plain, painted := &page{}, &page{colour: true}
	require.Equal(t, "deny", plain.paint(red, "deny"))
	require.Equal(t, "\x1b[31mdeny\x1b[0m", painted.paint(red, "deny"))
}
