package daemon

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// startAdmin serves an admin port on a free loopback port until the test ends.
func startAdmin(t *testing.T, checks ...Check) *AdminPort {
	t.Helper()
	a, err := ListenAdmin(t.Context(), AdminOptions{
		Config: Admin{Addr: "127.0.0.1:0"}, Metrics: NewRegistry(), Checks: checks, Logger: slog.New(slog.DiscardHandler),
	})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-ended)
	})
	return a
}

func get(t *testing.T, a *AdminPort, path string) (int, string) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+a.Addr()+path, nil)
	require.NoError(t, err)
	resp, err := client.Do(req)
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, string(body)
}

func TestLivenessAsksNobody(t *testing.T) {
	a := startAdmin(t, Check{"kafka", func(context.Context) error { return errors.New("down") }})
	status, body := get(t, a, "/livez")
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, "ok\n", body)
}

func TestReadinessNamesWhatIsMissing(t *testing.T) {
	ok := func(context.Context) error { return nil }
	down := func(context.Context) error { return errors.New("connection refused") }
	silent := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }

	status, body := get(t, startAdmin(t, Check{"kafka", ok}, Check{"redis", ok}), "/readyz")
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, "ok kafka\nok redis\n", body)

	status, body = get(t, startAdmin(t, Check{"kafka", ok}, Check{"redis", down}), "/readyz")
	require.Equal(t, http.StatusServiceUnavailable, status)
	require.Equal(t, "ok kafka\nnot ready redis: connection refused\n", body)

	begun := time.Now()
	status, body = get(t, startAdmin(t, Check{"kafka", silent}), "/readyz")
	require.Equal(t, http.StatusServiceUnavailable, status)
	require.Contains(t, body, "not ready kafka")
	require.Less(t, time.Since(begun), 3*readyTimeout, "a silent dependency must not hang the probe")
}

func TestReadinessEndsWithTheProgram(t *testing.T) {
	a := startAdmin(t)
	status, _ := get(t, a, "/readyz")
	require.Equal(t, http.StatusOK, status)
	a.Stopping()
	status, body := get(t, a, "/readyz")
	require.Equal(t, http.StatusServiceUnavailable, status)
	require.Equal(t, "stopping\n", body)
}

func TestMetricsAreServed(t *testing.T) {
	status, body := get(t, startAdmin(t), "/metrics")
	require.Equal(t, http.StatusOK, status)
	require.Contains(t, body, "consent_build_info{")
	require.Contains(t, body, "go_goroutines ")
}

func TestProfilesAreForCallersOnThisHost(t *testing.T) {
	a := startAdmin(t)
	status, _ := get(t, a, "/debug/pprof/goroutine?debug=1")
	require.Equal(t, http.StatusOK, status)
	for _, c := range []struct {
		name, peer, host string
		status           int
	}{
		{"this host", "127.0.0.1:5", "localhost:9464", http.StatusOK},
		{"another host", "10.1.2.3:5", "10.0.0.1:9464", http.StatusForbidden},
		{"a page that rebinds its name", "127.0.0.1:5", "evil.example:9464", http.StatusForbidden},
	} {
		req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/debug/pprof/cmdline", nil)
		req.RemoteAddr, req.Host = c.peer, c.host
		w := httptest.NewRecorder()
		a.server.Handler.ServeHTTP(w, req)
		require.Equal(t, c.status, w.Code, c.name)
	}
}

func TestAdminPortRefusesOpenAddress(t *testing.T) {
	_, err := ListenAdmin(t.Context(), AdminOptions{Config: Admin{Addr: "0.0.0.0:0"}, Logger: slog.New(slog.DiscardHandler)})
	require.ErrorContains(t, err, "admin.allow_remote")
	a, err := ListenAdmin(t.Context(), AdminOptions{
		Config: Admin{Addr: "0.0.0.0:0", AllowRemote: true}, Metrics: NewRegistry(), Logger: slog.New(slog.DiscardHandler),
	})
	require.NoError(t, err)
	require.NoError(t, a.Close())
}
