package contexts

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/internal/daemon"
	"github.com/kelisim/kelisim/internal/daemon/settings"
)

const two = `# who works where
current: dev
contexts:
  dev:
    settings: {kafka: {brokers: ["localhost:9092"]}}
  prod: # ask first
    config: prod/consentd.yaml
    protected: true
`

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "contexts.yaml")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

func read(t *testing.T, text string) File {
	t.Helper()
	f, err := Read(write(t, text), true)
	require.NoError(t, err)
	return f
}

func TestTheNamedContextIsChosenElseTheCurrentOne(t *testing.T) {
	f := read(t, two)
	name, c, err := f.Choose("")
	require.NoError(t, err)
	require.Equal(t, "dev", name)
	require.False(t, c.Protected)
	name, c, err = f.Choose("prod")
	require.NoError(t, err)
	require.Equal(t, "prod", name)
	require.True(t, c.Protected)
	_, _, err = f.Choose("prd")
	require.ErrorContains(t, err, "no context prd: "+f.Path+" names dev, prod")
	name, _, err = File{}.Choose("")
	require.NoError(t, err)
	require.Empty(t, name)
}

func TestMistakesAreRefusedByName(t *testing.T) {
	for want, text := range map[string]string{
		"field protect not found":         "contexts: {a: {config: x, protect: true}}",
		"a: want config or settings, one": "contexts: {a: {protected: true}}",
		"b: want config or settings, one": "contexts: {b: {config: x, settings: {kafka: {client_id: y}}}}",
		"current: no context c":           "current: c\ncontexts: {a: {config: x}}",
		"cannot unmarshal":                "contexts: 3",
	} {
		_, err := Read(write(t, text), true)
		require.ErrorContains(t, err, want)
	}
}

func TestAFileThatSomebodyNamedHasToBeThere(t *testing.T) {
	path := filepath.Join(t.TempDir(), "none.yaml")
	_, err := Read(path, true)
	require.ErrorContains(t, err, path)
	f, err := Read(path, false)
	require.NoError(t, err)
	require.Empty(t, f.Names())
	empty, err := Read(write(t, ""), true)
	require.NoError(t, err)
	require.Empty(t, empty.Names())
}

func TestUseChangesOneLine(t *testing.T) {
	f := read(t, two)
	require.NoError(t, f.Use("prod"))
	again, err := Read(f.Path, true)
	require.NoError(t, err)
	require.Equal(t, "prod", again.Current)
	text, err := os.ReadFile(f.Path)
	require.NoError(t, err)
	require.Contains(t, string(text), "# who works where\ncurrent: prod\n")
	require.Contains(t, string(text), "prod: # ask first\n")
	require.ErrorContains(t, f.Use("x"), "no context x")

	without := read(t, "contexts: {a: {config: x}}")
	require.NoError(t, without.Use("a"))
	again, err = Read(without.Path, true)
	require.NoError(t, err)
	require.Equal(t, "a", again.Current)
}

// load reads settings over a context as a command does.
func load(f File, name string, environ []string, args ...string) (daemon.Config, *settings.Loaded, error) {
	all, err := settings.List(daemon.Defaults())
	if err != nil {
		return daemon.Config{}, nil, err
	}
	flags := pflag.NewFlagSet("x", pflag.ContinueOnError)
	settings.AddFlags(flags, all)
	if err := flags.Parse(args); err != nil {
		return daemon.Config{}, nil, err
	}
	return settings.LoadOver(f.Base(name), daemon.Defaults(), flags, environ)
}

// Flag, environment, file, context, default: whoever is nearer to the person wins.
func TestEachLayerLiesOverTheContext(t *testing.T) {
	f := read(t, `contexts: {dev: {settings: {kafka: {brokers: ["context:1"], client_id: context}, topics: {events: context, parked: context}}}}`)
	file := write(t, "kafka: {client_id: file}\ntopics: {events: file}")
	cfg, loaded, err := load(f, "dev", []string{"KELISIM_CONFIG=" + file, "KELISIM_TOPICS_EVENTS=environment"})
	require.NoError(t, err)
	require.Equal(t, []string{"context:1"}, cfg.Kafka.Brokers)
	require.Equal(t, "context", cfg.Topics.Parked)
	require.Equal(t, "file", cfg.Kafka.ClientID)
	require.Equal(t, "environment", cfg.Topics.Events)
	require.Equal(t, "consent.receipts.v1", cfg.Topics.Receipts)
	require.Equal(t, "context dev", loaded.Origin("topics.parked"))
	require.Equal(t, "file "+file, loaded.Origin("kafka.client_id"))
	cfg, _, err = load(f, "dev", []string{"KELISIM_TOPICS_EVENTS=environment"}, "--topics-events", "flag")
	require.NoError(t, err)
	require.Equal(t, "flag", cfg.Topics.Events)
}

func TestAContextsFileIsFoundBesideTheContexts(t *testing.T) {
	f := read(t, two)
	dir := filepath.Join(filepath.Dir(f.Path), "prod")
	require.NoError(t, os.Mkdir(dir, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "consentd.yaml"), []byte("kafka: {client_id: far}"), 0o600))
	cfg, loaded, err := load(f, "prod", nil)
	require.NoError(t, err)
	require.Equal(t, "far", cfg.Kafka.ClientID)
	require.Contains(t, loaded.Origin("kafka.client_id"), "context prod, file ")
}

func TestAContextIsHeldToTheSettings(t *testing.T) {
	f := read(t, `contexts: {a: {settings: {kafka: {broker: ["x:1"]}}}, b: {settings: {redis: {password: secret}}}}`)
	_, _, err := load(f, "a", nil)
	require.ErrorContains(t, err, "context a: key kafka.broker is unknown; the nearest is kafka.brokers")
	_, _, err = load(f, "b", nil)
	require.ErrorContains(t, err, "context b: redis.password is a secret and stays out of files")
	require.NotContains(t, err.Error(), "secret:")
}
