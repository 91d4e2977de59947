package doctor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"

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

// faultOf says what the schema of a type has against a document, or nothing. It
// names members and rules, and never a value.
func faultOf(s schemas.Set, eventType string, document map[string]any) string {
	name, ours := strings.CutPrefix(eventType, "io.kelisim.")
	schema := s[name]
	if !ours || schema == nil || events.ParseType(eventType) == 0 {
		return "its type is none of Kelisim's"
	}
	var invalid *jsonschema.ValidationError
	if err := schema.Validate(document); !errors.As(err, &invalid) {
		return ""
	}
	for len(invalid.Causes) > 0 {
		invalid = invalid.Causes[0]
	}
	at := cmp.Or(strings.Join(invalid.InstanceLocation, "/"), "the event")
	switch why := invalid.ErrorKind.(type) {
	case *kind.Required:
		return at + " lacks " + members(why.Missing)
	case *kind.AdditionalProperties:
		return at + " has the unknown " + members(why.Properties)
	default:
		return at + " is not as " + strings.Join(why.KeywordPath(), "/") + " asks"
	}
}

// plain is how the name of a member looks. Anything else could be a person's.
var plain = regexp.MustCompile(`^[A-Za-z][A-Za-z_]{0,31}$`)

func members(names []string) string {
	names = slices.Clone(names)
	for i, name := range names {
		if !plain.MatchString(name) {
			names[i] = "(a name that is not shown)"
		}
	}
	slices.Sort(names)
	return "member " + strings.Join(slices.Compact(names), ", ")
}
