package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/internal/oncall/exit"
)

// home makes a home directory with the default contexts file.
func home(t *testing.T) (environ []string, file string) {
	t.Helper()
	dir := t.TempDir()
	file = filepath.Join(dir, "kelisim", "contexts.yaml")
	require.NoError(t, os.Mkdir(filepath.Dir(file), 0o700))
	require.NoError(t, os.WriteFile(file, []byte(`current: dev
contexts:
  dev:
    settings: {kafka: {brokers: ["dev:9092"]}, redis: {addrs: ["dev:6379"]}}
  prod:
    config: prod.yaml
    protected: true
`), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(filepath.Dir(file), "prod.yaml"), []byte("kafka: {brokers: [\"prod:9092\"]}"), 0o600))
	return []string{"XDG_CONFIG_HOME=" + dir}, file
}

func TestContextsAreListedChosenAndShown(t *testing.T) {
	environ, file := home(t)
	code, out, errs := in(t, environ, "context", "list")
	require.Equal(t, exit.OK, code, errs)
	require.Equal(t, "CURRENT  NAME  PROTECTED  SETTINGS\n*        dev   no         in "+file+"\n         prod  yes        prod.yaml\n", out)

	code, out, errs = in(t, environ, "context", "use", "prod")
	require.Equal(t, exit.OK, code, errs)
	require.Equal(t, "the current context is prod\n", out)
	_, out, _ = in(t, environ, "context", "list", "-o", "jsonl")
	require.Contains(t, out, `{"name":"prod","current":true,"protected":true,"config":"prod.yaml"}`)

	code, out, errs = in(t, environ, "context", "show")
	require.Equal(t, exit.OK, code, errs)
	require.Contains(t, out, "context prod, protected\n")
	require.Regexp(t, `kafka.brokers +prod:9092 +context prod, file `, out)
	_, out, _ = in(t, environ, "context", "show", "dev", "--kafka-client-id", "me")
	require.Regexp(t, `kafka.brokers +dev:9092 +context dev\n`, out)
	require.Regexp(t, `kafka.client_id +me +--kafka-client-id\n`, out)
}

func TestTheNearestWordOnTheContextCounts(t *testing.T) {
	environ, _ := home(t)
	shown := func(environ []string, args ...string) string {
		code, out, errs := in(t, environ, append([]string{"context", "show"}, args...)...)
		require.Equal(t, exit.OK, code, errs)
		return out
	}
	require.Contains(t, shown(environ), "context dev\n")
	environ = append(environ, contextEnv+"=prod")
	require.Contains(t, shown(environ), "context prod, protected\n")
	require.Contains(t, shown(environ, "--context", "dev"), "context dev\n")
	require.Regexp(t, `kafka.brokers +here:1 +KELISIM_KAFKA_BROKERS`, shown(append(environ, "KELISIM_KAFKA_BROKERS=here:1")))
	require.Regexp(t, `kafka.brokers +there:1 +--kafka-brokers`, shown(append(environ, "KELISIM_KAFKA_BROKERS=here:1"), "--brokers", "there:1"))
}

func TestWrongContextsAreUsage(t *testing.T) {
	environ, file := home(t)
	for want, args := range map[string][]string{
		"no context nowhere: " + file + " names dev, prod": {"audit", "list", "--context", "nowhere"},
		"no context other": {"context", "use", "other"},
		"/does/not/exist":  {"context", "list", "--contexts-file", "/does/not/exist"},
	} {
		code, _, errs := in(t, environ, args...)
		require.Equal(t, exit.Usage, code, args)
		require.Contains(t, errs, want)
	}
	require.NoError(t, os.WriteFile(file, []byte("contexts: {a: {setings: {}}}"), 0o600))
	code, _, errs := in(t, environ, "context", "list")
	require.Equal(t, exit.Usage, code)
	require.Contains(t, errs, "field setings not found")
}

func TestNoContextIsNeeded(t *testing.T) {
	code, out, _ := in(t, []string{"HOME=" + t.TempDir()}, "context", "show")
	require.Equal(t, exit.OK, code)
	require.NotContains(t, out, "context ")
}

func TestTheShellCompletesContexts(t *testing.T) {
	environ, _ := home(t)
	for _, args := range [][]string{{"__complete", "context", "use", ""}, {"__complete", "audit", "list", "--context", ""}} {
		_, out, _ := in(t, environ, args...)
		require.Contains(t, out, "dev\nprod\n")
	}
	_, out, _ := in(t, environ, "__complete", "context", "list", "-o", "")
	require.Contains(t, out, "table\njson\njsonl\nyaml\n")
	code, out, _ := in(t, environ, "completion", "bash")
	require.Equal(t, exit.OK, code)
	require.Contains(t, out, "consentctl")
}
