package generation

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/internal/oncall/exit"
	"github.com/kelisim/kelisim/internal/testenv"
)

// The whole way, with events until the barrier and again behind the swap, a stray
// withdrawal behind the barrier, and guards that are asked all the time.
func TestLogGoesOnInAnotherNumberOfPartitions(t *testing.T) {
	testenv.Parallel(t)
	for name, partitions := range map[string][2]int32{"twice as many": {3, 6}, "fewer": {5, 3}} {
		t.Run(name, func(t *testing.T) {
			testenv.Parallel(t)
			w := newWorld(t, partitions[0], partitions[1])
			services := []string{"marketing", "targeting"}
			for _, s := range services {
				w.start(s, w.old)
			}
			w.live(w.old, 400)
			gone, stays, stray, between, late := w.subject("p-gone"), w.subject("p-stays"), w.subject("p-stray"), w.subject("p-between"), w.subject("p-late")
			grant := w.decide(events.Granted, gone)
			w.publish(w.old, grant, w.decide(events.Granted, stays), w.decide(events.Granted, stray), w.decide(events.Granted, between), w.decide(events.Granted, late), w.decide(events.Withdrawn, gone))
			w.caughtUp(w.old, services...)
			stop := w.watch(services...)
			w.live(w.old, 100)

			cfg := w.config()
			cfg.Handover = time.Minute
			cfg.Tell = func(step string) {
				switch {
				case strings.HasPrefix(step, "ended"):
					w.publish(w.old, w.decide(events.Withdrawn, stray)) // of a producer that nobody stopped
				case strings.HasPrefix(step, "built"):
					w.publish(w.old, w.decide(events.Withdrawn, between)) // when the states are carried already
					w.keptAside(between, services...)
				case strings.HasPrefix(step, "generation 1 is retired"):
					w.requireHeld(stray, services...) // by the new caches, until the new log has it
					w.requireHeld(between, services...)
					w.publish(w.old, w.decide(events.Withdrawn, late)) // when nobody reads there any more
				case strings.Contains(step, "is open"):
					for _, s := range services {
						w.leave(s)
						w.start(s, w.new)
					}
				}
			}
			report, err := Run(t.Context(), cfg)
			require.NoError(t, err, "%v", report)
			require.Empty(t, report.Waiting)
			require.Equal(t, 3, report.Strays)
			again, err := Run(t.Context(), w.config())
			require.NoError(t, err)
			require.Zero(t, again.Strays, "once is enough")

			w.publish(w.new, grant) // a late copy of what was withdrawn
			w.publish(w.new, w.decide(events.Withdrawn, stays))
			w.live(w.new, 200)
			w.caughtUp(w.new, services...)
			w.requireEqual(services...)
			stop()
		})
	}
}

// A run that finds all of its steps done but the one that fails says how to go on, too.
func TestLayoutThatWaitsForAServiceSaysHowToGoOn(t *testing.T) {
	testenv.Parallel(t)
	w := newWorld(t, 2, 3)
	w.start("marketing", w.old)
	w.live(w.old, 10)
	w.caughtUp(w.old, "marketing")
	w.stop("marketing")
	cfg := w.config()
	cfg.Patience = 100 * time.Millisecond
	for i, steps := range []int{3, 0} {
		report, err := Run(t.Context(), cfg)
		require.ErrorContains(t, err, "is it running?")
		require.Equal(t, exit.Partly, exit.Code(err), "run %d", i)
		require.Len(t, report.Steps, steps, "%v", report.Steps)
	}
}

// errHere interrupts a run.
var errHere = errors.New("interrupted here")

// Interrupted behind every step, one after the other, the same command goes on, and the
// end is the same.
func TestInterruptedLayoutGoesOn(t *testing.T) {
	testenv.Parallel(t)
	w := newWorld(t, 2, 3)
	services := []string{"marketing", "targeting"}
	for _, s := range services {
		w.start(s, w.old)
	}
	w.live(w.old, 150)
	w.caughtUp(w.old, services...)
	stop := w.watch(services...)
	for _, last := range []string{
		"created", "began", "ended", "2 services have applied", "carried", "built", "generation 2 is recorded", "generation 1 is retired", w.new.Topic + " is open",
	} {
		ctx, cancel := context.WithCancelCause(t.Context())
		cfg := w.config()
		cfg.Tell = func(step string) {
			if strings.HasPrefix(step, last) {
				cancel(errHere)
			}
		}
		report, err := Run(ctx, cfg)
		var partly *exit.PartlyError
		require.ErrorAs(t, err, &partly, "behind %q, of %v", last, report.Steps)
		require.Equal(t, exit.Partly, exit.Code(err), "it says how to go on")
		require.True(t, strings.HasPrefix(report.Steps[len(report.Steps)-1], last), "%v", report.Steps)
		require.ErrorIs(t, context.Cause(ctx), errHere)
	}
	_, err := Run(t.Context(), w.config())
	require.NoError(t, err)
	for _, s := range services {
		w.leave(s)
		w.start(s, w.new)
	}
	w.live(w.new, 50)
	w.caughtUp(w.new, services...)
	report, err := Run(t.Context(), w.config())
	require.NoError(t, err)
	require.Equal(t, []string{"every service has taken over"}, report.Steps, "there is nothing left to do")
	w.live(w.new, 50)
	w.caughtUp(w.new, services...)
	w.requireEqual(services...)
	stop()
}

// The machine of whoever lays out may die between the fence and the swap. The services
// end then; the same command gives them their partitions back, and goes on.
func TestLayoutThatDiedInTheSwapGoesOn(t *testing.T) {
	testenv.Parallel(t)
	w := newWorld(t, 2, 3)
	w.start("marketing", w.old)
	w.live(w.old, 50)
	who := w.subject("p-stray")
	w.publish(w.old, w.decide(events.Granted, who))
	w.caughtUp(w.old, "marketing")
	cfg := w.config()
	ctx, cancel := context.WithCancelCause(t.Context())
	cfg.Tell = func(step string) {
		if strings.HasPrefix(step, "built") {
			cancel(errHere)
		}
	}
	_, err := Run(ctx, cfg)
	require.Equal(t, exit.Partly, exit.Code(err))
	live, next := cfg.Services[0], cfg.Services[0]
	next.Topic, next.Generation, next.Partitions = w.new.Topic, w.new.Generation, w.new.Partitions
	successor, err := cfg.Open(t.Context(), live, next)
	require.NoError(t, err)
	require.NoError(t, successor.Fence(t.Context()))
	w.leave("marketing")
	w.publish(w.old, w.decide(events.Withdrawn, who)) // and nobody may fold so far

	ended, again := make(chan error, 1), w.config()
	go func() {
		_, err := Run(t.Context(), again)
		ended <- err
	}()
	require.Eventually(t, func() bool {
		fenced, err := w.client.HExists(t.Context(), live.Prefix(0)+"pos", "gone").Result()
		return err == nil && !fenced
	}, 10*time.Second, time.Millisecond)
	w.start("marketing", w.old)
	require.NoError(t, <-ended)
	w.leave("marketing")
	w.start("marketing", w.new)
	w.live(w.new, 20)
	w.caughtUp(w.new, "marketing")
	w.requireEqual("marketing")
}
