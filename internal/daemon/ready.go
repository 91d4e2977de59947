package daemon

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"
)

// readyTimeout bounds one look at all dependencies: shorter than the patience of
// common probes (Kubernetes' timeoutSeconds is 1 unless set, load balancers' 2
// to 5), so that the answer names the culprit instead of timing out.
const readyTimeout = 900 * time.Millisecond

// Check is one thing that must be so for the program to be ready: a dependency
// answers, partitions are assigned. Lag is none: a probe that fails on lag takes
// the consumer away from the group that needs it.
type Check struct {
	Name string
	// Ready returns nil when it is so. It ends with its context, and names no
	// subject.
	Ready func(context.Context) error
}

// ready answers /readyz: one line for each check, and 503 when one of them fails
// or the program is stopping.
func (a *AdminPort) ready(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), readyTimeout)
	defer cancel()
	lines, status := a.look(ctx), http.StatusOK
	if a.stopping.Load() {
		lines = append(lines, "stopping")
		status = http.StatusServiceUnavailable
	}
	for _, line := range lines {
		if !strings.HasPrefix(line, "ok ") {
			status = http.StatusServiceUnavailable
		}
	}
	answer(w, status, strings.Join(lines, "\n"))
}

// look runs all checks side by side.
func (a *AdminPort) look(ctx context.Context) []string {
	lines := make([]string, len(a.checks))
	var all sync.WaitGroup
	for i, c := range a.checks {
		all.Go(func() {
			lines[i] = "ok " + c.Name
			if err := c.Ready(ctx); err != nil {
				lines[i] = fmt.Sprintf("not ready %s: %v", c.Name, err)
			}
		})
	}
	all.Wait()
	return lines
}

func answer(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = fmt.Fprintln(w, text) // whoever asked is gone
}
