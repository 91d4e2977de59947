package daemon

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func untilDone(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }

func program(parts ...Part) Program {
	return Program{Budget: 10 * time.Second, Logger: slog.New(slog.DiscardHandler), Parts: parts}
}

func TestBeingAskedToEndIsNoError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Hour, cancel)
		require.NoError(t, Run(ctx, program(Part{"a", untilDone}, Part{"b", untilDone})))
	})
}

func TestOnePartThatEndsEndsAll(t *testing.T) {
	for _, cause := range []error{nil, errors.New("broken")} {
		synctest.Test(t, func(t *testing.T) {
			others := 0
			err := Run(t.Context(), program(
				Part{"first", func(context.Context) error { return cause }},
				Part{"other", func(ctx context.Context) error { <-ctx.Done(); others++; return nil }},
			))
			require.Equal(t, 1, others)
			if cause == nil {
				require.NoError(t, err)
			} else {
				require.ErrorIs(t, err, cause)
				require.ErrorContains(t, err, "first: ")
			}
		})
	}
}

func TestErrorsOnTheWayDownAreKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		late := errors.New("could not leave the group")
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		err := Run(ctx, program(Part{"a", func(ctx context.Context) error { <-ctx.Done(); return late }}))
		require.ErrorIs(t, err, late)
	})
}

func TestSlowPartIsLeftBehindAndNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		begun := time.Now()
		err := Run(ctx, program(Part{"quick", untilDone}, Part{"stuck", func(context.Context) error { <-release; return nil }}))
		require.ErrorIs(t, err, ErrBudget)
		require.ErrorContains(t, err, "still running: stuck")
		require.Equal(t, 10*time.Second, time.Since(begun))
		close(release)
	})
}

func TestClosingComesLastAndGetsWhatIsLeft(t *testing.T) {
	for _, takes := range []time.Duration{3 * time.Second, time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			p := program(Part{"slow", func(ctx context.Context) error {
				<-ctx.Done()
				<-time.After(takes)
				return nil
			}})
			var left time.Duration
			p.Finally = func(ctx context.Context) error {
				require.NoError(t, ctx.Err(), "closing is not cut off by what ended the parts")
				deadline, _ := ctx.Deadline()
				left = time.Until(deadline)
				return errors.New("could not say goodbye")
			}
			err := Run(ctx, p)
			require.ErrorContains(t, err, "could not say goodbye")
			require.Equal(t, max(lastChance, p.Budget-takes), left)
			<-time.After(takes) // the part that was left behind
		})
	}
}

func TestAdminPortSeesTheEnd(t *testing.T) {
	admin, err := ListenAdmin(t.Context(), AdminOptions{
		Config: Admin{Addr: "127.0.0.1:0"}, Metrics: NewRegistry(), Logger: slog.New(slog.DiscardHandler),
	})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	stopping, probed := make(chan struct{}), make(chan struct{})
	p := program(Part{"service", func(ctx context.Context) error {
		<-ctx.Done()
		close(stopping)
		<-probed
		return nil
	}})
	p.Admin = admin
	ended := make(chan error, 1)
	go func() { ended <- Run(ctx, p) }()
	becomes := func(want int) {
		require.Eventually(t, func() bool {
			status, _ := get(t, admin, "/readyz")
			return status == want
		}, 5*time.Second, time.Millisecond)
	}
	becomes(http.StatusOK)
	cancel()
	<-stopping
	becomes(http.StatusServiceUnavailable)
	close(probed)
	require.NoError(t, <-ended)
}
