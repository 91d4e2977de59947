package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

const (
	// adminHeaderTimeout drops clients that do not get to the point.
	adminHeaderTimeout = 5 * time.Second
	// adminCloseTimeout is what requests under way get at the end: a scrape takes
	// milliseconds, and a profile is no reason to stay.
	adminCloseTimeout = time.Second
)

// AdminOptions is what ListenAdmin needs.
type AdminOptions struct {
	Config  Admin
	Metrics prometheus.Gatherer
	Checks  []Check
	Logger  *slog.Logger
}

// AdminPort serves what operators and their tools ask: /livez says that the process runs, /readyz that its
// dependencies do, /metrics counts, /debug/pprof looks inside, for callers on
// this host only.
type AdminPort struct {
	listener net.Listener
	server   *http.Server
	checks   []Check
	stopping atomic.Bool
}

// ListenAdmin takes the address, so that a taken or a forbidden one is an error at
// the start, and serves once Run is called. The caller calls Run or Close.
func ListenAdmin(ctx context.Context, s AdminOptions) (*AdminPort, error) {
	if err := checkAdminAddr(s.Config.Addr, s.Config.AllowRemote); err != nil {
		return nil, err
	}
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", s.Config.Addr)
	if err != nil {
		return nil, fmt.Errorf("admin port: %w", err)
	}
	a := &AdminPort{listener: ln, checks: s.Checks}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, "ok") })
	mux.HandleFunc("GET /readyz", a.ready)
	mux.Handle("GET /metrics", promhttp.HandlerFor(s.Metrics, promhttp.HandlerOpts{ErrorLog: slog.NewLogLogger(s.Logger.Handler(), slog.LevelWarn)}))
	addProfiles(mux)
	a.server = &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: adminHeaderTimeout,
		ErrorLog:          slog.NewLogLogger(s.Logger.Handler(), slog.LevelWarn),
	}
	return a, nil
}

// Addr returns the host:port that the admin port listens on.
func (a *AdminPort) Addr() string { return a.listener.Addr().String() }

// Close gives the address up without having served.
func (a *AdminPort) Close() error { return a.listener.Close() }

// Stopping makes /readyz say so from now on.
func (a *AdminPort) Stopping() { a.stopping.Store(true) }

// Run serves until ctx ends, and returns when the port is closed.
func (a *AdminPort) Run(ctx context.Context) error {
	closed := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(closed)
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), adminCloseTimeout)
		defer cancel()
		if a.server.Shutdown(last) != nil {
			_ = a.server.Close() // whoever is still connected had their time
		}
	})
	err := a.server.Serve(a.listener)
	if !stop() {
		<-closed
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("admin port: %w", err)
}

// addProfiles serves pprof to callers on this host alone: a heap dump holds
// subject ids. Asking for the Host too keeps web pages out that make a browser
// on this host ask (DNS rebinding).
func addProfiles(mux *http.ServeMux) {
	local := func(h http.HandlerFunc) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			peer, _, _ := net.SplitHostPort(r.RemoteAddr)
			host, _, err := net.SplitHostPort(r.Host)
			if err != nil {
				host = r.Host
			}
			if !isLoopback(peer) || !isLoopback(host) {
				answer(w, http.StatusForbidden, "profiles are for callers on this host")
				return
			}
			h(w, r)
		}
	}
	mux.HandleFunc("GET /debug/pprof/", local(pprof.Index))
	mux.HandleFunc("GET /debug/pprof/cmdline", local(pprof.Cmdline))
	mux.HandleFunc("GET /debug/pprof/profile", local(pprof.Profile))
	mux.HandleFunc("GET /debug/pprof/symbol", local(pprof.Symbol))
	mux.HandleFunc("GET /debug/pprof/trace", local(pprof.Trace))
}
