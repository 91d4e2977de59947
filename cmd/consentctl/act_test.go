package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/internal/oncall/audit"
	"github.com/kelisim/kelisim/internal/oncall/exit"
)

// contextsFile writes a file with a context for the log, prod, protected or not,
// and one, dev, that leads nowhere.
func (l *log) contextsFile(t *testing.T, protected bool) string {
	t.Helper()
	topics := fmt.Sprintf("{events: %s, policies: %s, audit: %s}", l.Topics.Events, l.Topics.Policies, l.Topics.Audit)
	path := filepath.Join(t.TempDir(), "contexts.yaml")
	require.NoError(t, os.WriteFile(path, fmt.Appendf(nil, `current: dev
contexts:
  dev:
    settings: {kafka: {brokers: ["127.0.0.1:1"]}}
  prod:
    protected: %v
    settings: {kafka: {brokers: [%q]}, topics: %s}
`, protected, l.Kafka.Brokers[0], topics), 0o600))
	return path
}

// in runs the program with an environment and with nobody at a terminal.
func in(t *testing.T, environ []string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs strings.Builder
	code = run(t.Context(), args, environ, strings.NewReader("prod\n"), &out, &errs)
	return code, out.String(), errs.String()
}

func withContext(t *testing.T) *cobra.Command {
	c := new(cobra.Command)
	c.SetContext(t.Context())
	return c
}

func history(t *testing.T, environ []string, args ...string) []audit.Entry {
	t.Helper()
	code, out, errs := in(t, environ, append([]string{"audit", "list", "-o", "json"}, args...)...)
	require.Equal(t, exit.OK, code, errs)
	var h audit.History
	require.NoError(t, json.Unmarshal([]byte(out), &h))
	return h.Acts
}

func TestAProtectedContextIsActedOnByNameAlone(t *testing.T) {
	l := newLog(t)
	environ := []string{contextsEnv + "=" + l.contextsFile(t, true), contextEnv + "=prod", operatorEnv + "=aigerim"}
	publish := []string{"policy", "publish", firstVersion(t)}
	code, out, errs := in(t, environ, publish...)
	require.Equal(t, exit.OK, code, errs)
	require.Contains(t, out, "would publish")

	apply := append(publish, "--apply", "--reason", "clause 2.2")
	code, _, errs = in(t, environ, apply...)
	require.Equal(t, exit.Refused, code, "nobody is asked where nobody sits")
	require.Contains(t, errs, "refused: prod is protected: say --confirm prod")
	code, _, errs = in(t, environ, append(apply, "--confirm", "dev")...)
	require.Equal(t, exit.Refused, code)
	require.Contains(t, errs, "--confirm names dev, and this is prod")
	names, _ := l.versions(t)
	require.Empty(t, names)
	require.Empty(t, history(t, environ))

	code, out, errs = in(t, environ, append(apply, "--confirm", "prod")...)
	require.Equal(t, exit.OK, code, errs)
	require.Contains(t, out, "published policy aitu")
	acts := history(t, environ)
	require.Len(t, acts, 1)
	require.Equal(t, audit.Who{Operator: "aigerim", Reason: "clause 2.2", Context: "prod"}, acts[0].Who)
	require.Equal(t, audit.Done, acts[0].Phase)
	require.Equal(t, "policy publish", acts[0].Command)
	require.Equal(t, "version 2026-11 at offset 0 of "+l.Topics.Policies, acts[0].Result)
	require.False(t, acts[0].Recorded.IsZero())
}

// Brokers that are given by hand are as protected as the context that names them.
func TestFlagsDoNotGetAroundProtection(t *testing.T) {
	l := newLog(t)
	environ := []string{contextsEnv + "=" + l.contextsFile(t, true)}
	apply := append([]string{"policy", "publish", firstVersion(t), "--apply", "--reason", "x"}, l.flags...)
	code, _, errs := in(t, environ, apply...)
	require.Equal(t, exit.Refused, code)
	require.Contains(t, errs, "prod is protected: say --confirm prod")
	_, port, err := net.SplitHostPort(l.Kafka.Brokers[0])
	require.NoError(t, err)
	code, _, errs = in(t, environ, append(slices.Clone(apply), "--brokers", "localhost:"+port)...)
	require.Equal(t, exit.Refused, code, "by another name")
	require.Contains(t, errs, "prod is protected: say --confirm prod")
	environ = []string{contextsEnv + "=" + l.contextsFile(t, false)}
	code, _, errs = in(t, environ, apply...)
	require.Equal(t, exit.OK, code, errs)
}

func TestNobodyActsWithoutAReason(t *testing.T) {
	l := newLog(t)
	for _, more := range [][]string{nil, {"--reason", " "}} {
		code, _, errs := in(t, nil, append(append([]string{"policy", "publish", firstVersion(t), "--apply"}, l.flags...), more...)...)
		require.Equal(t, exit.Usage, code)
		require.Contains(t, errs, "--reason: say why")
	}
	names, _ := l.versions(t)
	require.Empty(t, names)
}

func TestWhatCannotBeRecordedIsNotPublished(t *testing.T) {
	l := newLog(t)
	args := append([]string{"policy", "publish", firstVersion(t), "--apply", "--reason", "x"}, l.flags...)
	code, _, errs := in(t, nil, append(args, "--topics-audit", "consent.nowhere.v1")...)
	require.Equal(t, exit.Refused, code)
	require.Contains(t, errs, "refused: what is done cannot be recorded: topic consent.nowhere.v1: ")
	names, _ := l.versions(t)
	require.Empty(t, names)
}

func TestFailedActsAreOnRecordToo(t *testing.T) {
	l := newLog(t)
	_, err := l.publishVersion(t.Context(), parse(t, firstVersion(t)), "/test")
	require.NoError(t, err)
	recorder, err := (&session{Cluster: l.Cluster, Command: withContext(t), program: &program{}}).recorder(&actFlags{reason: "x", operator: "dana"})
	require.NoError(t, err)
	err = recorder.Do(t.Context(), audit.Act{Command: "policy publish"}, func(ctx context.Context) (string, error) {
		_, err := l.publishVersion(ctx, parse(t, firstVersion(t, "P3Y", "P4Y")), "/test")
		return "", err
	})
	require.Error(t, err)
	acts := history(t, nil, append(l.flags, "--by", "dana")...)
	require.Len(t, acts, 1)
	require.Equal(t, audit.Failed, acts[0].Phase)
	require.Contains(t, acts[0].Error, "another was first, and services skip it")
	require.Empty(t, history(t, nil, append(l.flags, "--by", "aigerim")...))
	require.Len(t, history(t, nil, append(l.flags, "--since", "1h")...), 1)
}
