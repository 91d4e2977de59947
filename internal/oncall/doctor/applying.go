package doctor

import (
	"context"
	"fmt"
	"time"

	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/internal/cache"
)

// staleAfter is the guard's bound: an older proof of freshness denies everybody.
const staleAfter = 3 * time.Second

// checkApplying finds services whose cache does not follow the log, whatever the
// services say of themselves: members of their group, committing, alive, and yet
// nothing is applied.
func checkApplying(ctx context.Context, e *Env) ([]Finding, error) {
	l, err := e.twice(ctx)
	if err != nil {
		return nil, err
	}
	var out []Finding
	for _, s := range e.Services {
		stands, there := l.second.stands[s.Name]
		if !there {
			severity, harm := Critical, "every guard of it denies"
			if s.Unasked {
				severity, harm = Warning, "its topic falls behind, and a cache that is lost is read from the log alone"
			}
			out = append(out, Finding{
				Severity: severity, Object: s.Name, Found: "redis holds no cache of it: " + harm,
				Fix: "start it: consentd " + s.Name + "; if it runs, compare redis.addrs of the service and of this command",
			})
			continue
		}
		before := l.first.stands[s.Name]
		for p := range stands {
			was := cache.Stand{}
			if p < len(before) {
				was = before[p]
			}
			f, bad := applying(was, stands[p], l.second.log[int32(p)])
			if !bad {
				continue
			}
			if committed := l.first.commits[s.Name][int32(p)]; stands[p].Known && committed > stands[p].Next {
				f.Severity = Critical
				f.Found += fmt.Sprintf("; its group has acknowledged %d, which is not applied", committed)
			}
			f.Object = fmt.Sprintf("%s/%d", s.Name, p)
			out = append(out, f)
		}
	}
	return out, nil
}

// applying judges one partition by two looks at it and the range of the log. A log
// that grew since the second look only makes it look better than it is for moments.
func applying(was, is cache.Stand, log stream.Offsets) (Finding, bool) {
	moved := is.Known && was.Known && is.Next > was.Next
	fresh := is.Proved && is.Age <= staleAfter
	f := Finding{Severity: Critical}
	switch {
	case is.Known && is.Next > log.End:
		f.Found = fmt.Sprintf("stands at %d, and the log ends at %d: the topic was made anew, or lost what it had acknowledged", is.Next, log.End)
		f.Fix = "find out what became of the topic; if what it holds now is right: consentctl rebuild"
	case is.Known && is.Next < log.First:
		f.Found = fmt.Sprintf("stands at %d, and the log begins at %d: what lies between was deleted and never applied", is.Next, log.First)
		f.Fix = "find out what was lost (consentctl verify), publish it again, then consentctl rebuild"
	case fresh:
		return f, false
	case moved:
		f.Severity = Warning
		f.Found = fmt.Sprintf("is behind by %d events and catches up; until then its guards deny as stale", log.End-is.Next)
		f.Fix = "wait, and watch it: consentctl lag --watch"
	case !is.Known:
		f.Found = "has no position: it is being built anew, or nobody builds it; its guards deny"
		f.Fix = "look into the service's log for \"building from the log\"; if nothing is there, restart it"
	case is.Next < log.End:
		f.Found = fmt.Sprintf("stands still at %d with %d events to apply%s", is.Next, log.End-is.Next, age(is))
		f.Fix = "look into the service's log for \"partition stands still\" and \"trying again\"; if nothing is there, restart the instance that owns it"
	default:
		f.Found = fmt.Sprintf("has applied all, and has not proved it%s: whoever owns it hangs, or nobody does", age(is))
		f.Fix = "restart the instance that owns it; its partitions move to another within a second"
	}
	return f, true
}

func age(s cache.Stand) string {
	if !s.Proved {
		return ", never proved fresh"
	}
	return fmt.Sprintf(" for %v", s.Age.Round(time.Second))
}

// checkOutbox finds actions that do not finish: guards deny already, but
// audiences, profiles and partners do not follow.
func checkOutbox(ctx context.Context, e *Env) ([]Finding, error) {
	l, err := e.twice(ctx)
	if err != nil {
		return nil, err
	}
	var out []Finding
	for _, s := range e.Services {
		before := l.first.stands[s.Name]
		for p, is := range l.second.stands[s.Name] {
			if p >= len(before) || is.Waiting == 0 || is.Waiting < before[p].Waiting || before[p].Waiting == 0 {
				continue
			}
			out = append(out, Finding{
				Severity: Warning, Object: fmt.Sprintf("%s/%d", s.Name, p),
				Found: fmt.Sprintf("%d subjects wait for its action, and not fewer than a moment ago", is.Waiting),
				Fix:   "look into the service's log for \"trying again\" and \"act on\": it names the key that somebody overwrote; mend the key, the rest follows",
			})
		}
	}
	return out, nil
}
