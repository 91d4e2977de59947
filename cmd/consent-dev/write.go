package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/guard"
)

// writeStory writes a withdrawal as a timeline.
func (p *page) writeStory(s *story) {
	lines := []string{"", p.rule(fmt.Sprintf("withdrawal %d · %s · %s", s.number, s.subject, s.began.Format(time.TimeOnly)))}
	for i, c := range s.chapters {
		lines = append(lines, p.answer(heading(i, "before"), c.desk, c.before))
	}
	lines = append(lines, p.paint(bold, fmt.Sprintf("%8s  published: withdrawn %s; acknowledged at %v in %s",
		"0.0 ms", join(s.purposes), s.at, millis(s.took))))
	lines = append(lines, p.timeline(s)...)
	for i, c := range s.chapters {
		lines = append(lines, p.answer(heading(i, "after"), c.desk, c.after))
	}
	for i, promise := range s.promises {
		lines = append(lines, p.promise(heading(i, "promises"), promise))
	}
	denied, acted := s.slowest()
	lines = append(lines, fmt.Sprintf("%8s  all guards deny after %s, all three services have stopped after %s", "stopped", millis(denied), millis(acted)),
		p.paint(faint, fmt.Sprintf("%8s  %d decisions of synthetic subjects so far", "beside", s.others)))
	p.print(lines...)
}

// heading is the word in front of the first line of a block.
func heading(i int, word string) string {
	if i > 0 {
		return ""
	}
	return word
}

// answer writes what a guard said.
func (p *page) answer(word string, d *desk, a guard.Decision) string {
	yes := p.paint(green, "allow")
	if !a.Allowed {
		yes = p.paint(red, "deny ")
	}
	by := ""
	if a.By != (events.Version{}) {
		by = "by " + a.By.String()
	}
	return fmt.Sprintf("%8s  %-9s  %-13s  %s  %-10s %-12s %s", word, d.service, d.purpose, yes, a.Reason, by,
		p.paint(faint, a.Age.Round(time.Millisecond).String()+" old"))
}

// timeline writes what happened after the acknowledgement, in its order.
func (p *page) timeline(s *story) []string {
	type moment struct {
		after time.Duration
		text  string
	}
	var all []moment
	for _, c := range s.chapters {
		all = append(all,
			moment{c.denied, fmt.Sprintf("%-9s  guard denies", c.desk.service)},
			moment{c.acted, fmt.Sprintf("%-9s  %s", c.desk.service, c.desk.stops)})
	}
	slices.SortStableFunc(all, func(a, b moment) int { return cmp.Compare(a.after, b.after) })
	var lines []string
	for _, m := range all {
		lines = append(lines, fmt.Sprintf("%8s  %s", millis(m.after), m.text))
	}
	return lines
}

// promise writes one promise and what became of it.
func (p *page) promise(word string, one promise) string {
	if one.broken != nil {
		return fmt.Sprintf("%8s  %s  %s: %v", word, p.paint(red, "BROKEN"), one.text, one.broken)
	}
	return fmt.Sprintf("%8s  %s  %s", word, p.paint(green, "held"), one.text)
}

// millis writes a duration in milliseconds with one decimal.
func millis(d time.Duration) string {
	return fmt.Sprintf("%.1f ms", float64(d)/float64(time.Millisecond))
}

func join(purposes []events.Purpose) string {
	var names []string
	for _, p := range purposes {
		names = append(names, string(p))
	}
	return strings.Join(names, ", ")
}
