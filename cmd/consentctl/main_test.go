package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/consumers/affiliate"
	"github.com/kelisim/kelisim/consumers/marketing"
	"github.com/kelisim/kelisim/consumers/targeting"
	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/policy"
	"github.com/kelisim/kelisim/internal/oncall/exit"
)

const seedFile = "../../events/policy/seed.yaml"

// ctl runs the program.
func ctl(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs strings.Builder
	code = run(t.Context(), args, nil, strings.NewReader(""), &out, &errs)
	return code, out.String(), errs.String()
}

// write makes a file of the seed with changes, one after the other: pairs of
// what was and what is.
func write(t *testing.T, changes ...string) string {
	t.Helper()
	text, err := os.ReadFile(seedFile)
	require.NoError(t, err)
	for ; len(changes) > 0; changes = changes[2:] {
		require.True(t, strings.Contains(string(text), changes[0]), changes[0])
		text = []byte(strings.ReplaceAll(string(text), changes[0], changes[1]))
	}
	path := filepath.Join(t.TempDir(), "policy.yaml")
	require.NoError(t, os.WriteFile(path, text, 0o600))
	return path
}

// The versions of the tests. The second adds a recipient to surveys and asks
// again for them alone.
func firstVersion(t *testing.T, more ...string) string {
	return write(t, append([]string{`"000000000000"`, `"123456789012"`}, more...)...)
}

func secondVersion(t *testing.T, more ...string) string {
	const surveys = "en: Surveys}\n    basis: consent\n    withdrawable: \"yes\"\n    recipients: "
	return firstVersion(t, append([]string{
		`version: "2026-11"`, `version: "2027-01"`,
		"publishedon: 2026-11-01", "publishedon: 2027-01-01",
		"    clause: ", "    coveredfrom: 2026-11\n    clause: ",
		"name: surveys\n    coveredfrom: 2026-11", "name: surveys\n    coveredfrom: 2027-01",
		surveys + "[operator]", surveys + "[operator, universities]",
	}, more...)...)
}

func TestWrongCallsAreTold(t *testing.T) {
	for want, args := range map[string][]string{
		"which command":                   {"policy"},
		`unknown command "police"`:        {"police"},
		`unknown command "print"`:         {"policy", "print"},
		"requires at least 1 arg":         {"policy", "lint"},
		"accepts 2 arg(s)":                {"policy", "diff", "one"},
		`"xml" is none of table, json`:    {"policy", "lint", seedFile, "-o", "xml"},
		"flag --aply is unknown":          {"policy", "publish", seedFile, "--aply"},
		"kafka.brokers: not set":          {"policy", "publish", seedFile},
		`kafka.brokers: "x" is not host`:  {"policy", "publish", seedFile, "--brokers", "x"},
		"topics.policies: not set":        {"policy", "publish", seedFile, "--brokers", "k:1", "--topics-policies="},
		"configuration:\nkafka.brokers: ": {"policy", "diff", seedFile, write(t, `"2026-11"`, `"2026-12"`), "--count"},
	} {
		code, out, errs := ctl(t, args...)
		require.Equal(t, exit.Usage, code, args)
		require.Contains(t, errs, want)
		require.Empty(t, out)
	}
}

func TestFailuresAreNoUsage(t *testing.T) {
	for want, args := range map[string][]string{
		"/does/not/exist.yaml":                  {"policy", "lint", "/does/not/exist.yaml"},
		"policy.yaml:\nresidency: ":             {"policy", "diff", seedFile, write(t, "residency: KZ", "residency: RU")},
		"published before with another content": {"policy", "diff", seedFile, write(t, "P3Y", "P4Y")},
		"these are the versions of aitu":        {"policy", "diff", seedFile, write(t, "policy: aitu", "policy: other")},
		"topic consent.policies.v1: ":           {"policy", "publish", seedFile, "--brokers", "127.0.0.1:1"},
	} {
		code, out, errs := ctl(t, args...)
		require.Equal(t, exit.Failed, code, args)
		require.Contains(t, errs, want)
		require.Empty(t, out)
	}
}

// The file says which services act, and the services say it themselves.
func TestSeedNamesTheServicesThatAct(t *testing.T) {
	says := make(map[string][]events.Purpose)
	for _, p := range policy.Seed().Purposes {
		for _, service := range p.Services {
			says[service] = append(says[service], p.Name)
		}
	}
	for name, purposes := range map[string][]events.Purpose{
		marketing.Name: marketing.Purposes(), targeting.Name: targeting.Purposes(), affiliate.Name: affiliate.Purposes(),
	} {
		require.ElementsMatch(t, purposes, says[name], name)
		delete(says, name)
	}
	require.Empty(t, says)
}
