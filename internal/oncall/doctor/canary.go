package doctor

import (
	"context"
	"fmt"
	"time"

	"github.com/kelisim/kelisim/internal/oncall/canary"
)

// checkCanary sends a canary to every partition and says where it did not come
// back. Without one there is nothing to say: the caller was not asked to write.
func checkCanary(ctx context.Context, e *Env) ([]Finding, error) {
	probe, err := e.probe(ctx)
	var out []Finding
	for _, f := range probe.Flights {
		if f.Fault == "" {
			continue
		}
		found := Finding{
			Severity: Critical, Object: fmt.Sprintf("%s/%d", f.Service, f.Partition),
			Fix: "what the other findings of this service say; then consentctl trace of the partition's newest subject",
		}
		switch f.Fault {
		case canary.Late:
			found.Found = fmt.Sprintf("a withdrawal was still allowed %v after it was acknowledged (%s)", f.Stopped.Round(time.Millisecond), f.Answer)
		case canary.Reopened:
			found.Found = fmt.Sprintf("a withdrawal was denied and then allowed again (%s)", f.Answer)
		case canary.Blind:
			found.Found = fmt.Sprintf("a withdrawal was not seen: the guard denies for another reason (%s)", f.Answer)
		case canary.NotOpen:
			found.Found = fmt.Sprintf("a grant opened nothing (%s)", f.Answer)
		}
		out = append(out, found)
	}
	return out, err
}
