package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/guard"
)

// handSubject is the subject that people try things with by hand. It consents at
// the start, and every change of its answers is written.
const handSubject = "try-me"

// watchEvery is how often its answers are looked at: soon enough for a person.
const watchEvery = 100 * time.Millisecond

// watcher writes when answers about one subject change.
type watcher struct {
	teller  *teller
	page    *page
	subject events.Subject
	last    map[string]guard.Decision // by service
}

func newWatcher(t *teller, p *page) (*watcher, error) {
	subject, err := events.ParseSubject(handSubject)
	return &watcher{teller: t, page: p, subject: subject, last: make(map[string]guard.Decision)}, err
}

// run lets the subject consent, waits until that is known, and writes every
// change from there on.
func (w *watcher) run(ctx context.Context) error {
	grant, err := w.teller.grant(w.subject)
	if err != nil {
		return err
	}
	grant.ID += "-by-hand"
	if _, err := w.teller.publisher.publish(ctx, &grant); err != nil {
		return err
	}
	if err := w.teller.allowed(ctx, w.subject); err != nil {
		return err
	}
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		w.look(ctx)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// look asks all guards and writes what is new, the first time everything, all
// services in one line.
func (w *watcher) look(ctx context.Context) {
	var changes []string
	for _, d := range w.teller.desks {
		now := w.teller.guards[d.service].Check(ctx, w.subject, d.purpose)
		before, known := w.last[d.service]
		if ctx.Err() != nil {
			return
		}
		w.last[d.service] = now
		switch {
		case !known:
			changes = append(changes, d.service+" "+w.word(now))
		case before.Allowed != now.Allowed || before.Reason != now.Reason:
			changes = append(changes, fmt.Sprintf("%s %s → %s", d.service, w.word(before), w.word(now)))
		}
	}
	if changes != nil {
		w.page.print(fmt.Sprintf("%s  %s: %s", time.Now().Format("15:04:05.000"), handSubject, strings.Join(changes, " · ")))
	}
}

func (w *watcher) word(d guard.Decision) string {
	if d.Allowed {
		return w.page.paint(green, "allow ("+d.Reason.String()+")")
	}
	return w.page.paint(red, "deny ("+d.Reason.String()+")")
}
