package doctor

import (
	"context"
	"fmt"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/schemas"
)

// checkSchemas finds producers whose events drifted away from the schemas. What
// the schemas refuse and the codec takes still counts; but it says something that
// nobody here knows of, perhaps personal data.
func checkSchemas(ctx context.Context, e *Env) ([]Finding, error) {
	all, err := e.records(ctx)
	if err != nil {
		return nil, err
	}
	groups := tally(all, func(r *record) (key, bool) { return key{r.source, r.kind, r.fault}, r.fault != "" })
	return findings(groups, func(k key, g group) Finding {
		f := Finding{
			Severity: Warning, Object: "source " + k.source,
			Found: fmt.Sprintf("%s not as its schema says in %s: %s", k.kind, g, k.what),
			Fix:   "mend the producer (schemas/README.md has the schemas and examples); the events that were taken stand",
		}
		if g.unread > 0 {
			f.Severity = Critical
			f.Fix = "mend the producer; what could not be applied is parked: consentctl parked list"
		}
		return f
	}), nil
}

// faultOf says what the schema of a type has against a document first, or nothing. It
// names members and rules, and never a value.
func faultOf(s schemas.Set, eventType string, document map[string]any) string {
	schema := s.ForType(eventType)
	if schema == nil || events.ParseType(eventType) == 0 {
		return "its type is none of Kelisim's"
	}
	if all := schemas.Faults(schema, document); len(all) > 0 {
		return all[0].String()
	}
	return ""
}
