package settings

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"
)

type sample struct {
	Kafka struct {
		Brokers      []string `key:"brokers" help:"addresses"`
		Password     string   `key:"password" help:"secret" secret:"true"`
		PasswordFile string   `key:"password_file" help:"file with the secret"`
	} `key:"kafka"`
	Budget time.Duration `key:"budget" help:"time to end"`
	Remote bool          `key:"allow_remote" help:"open to others"`
	Number int           `key:"number" help:"a number"`
	Level  string        `key:"level" help:"a text"`
}

func defaults() sample {
	s := sample{Budget: 20 * time.Second, Number: 7, Level: "info"}
	s.Kafka.Brokers = []string{"default:9092"}
	return s
}

// load runs Load as a program would, with a file of the given text.
func load(t *testing.T, fileText string, environ []string, args ...string) (sample, *Loaded, error) {
	t.Helper()
	all, err := List(defaults())
	require.NoError(t, err)
	flags := pflag.NewFlagSet("test", pflag.ContinueOnError)
	AddFlags(flags, all)
	if fileText != "" {
		path := filepath.Join(t.TempDir(), "test.yaml")
		require.NoError(t, os.WriteFile(path, []byte(fileText), 0o600))
		args = append(args, "--config", path)
	}
	require.NoError(t, flags.Parse(args))
	return Load(defaults(), flags, environ)
}

func TestFlagBeatsEnvironmentBeatsFileBeatsDefault(t *testing.T) {
	const inFile = "kafka: {brokers: [file:9092]}\nbudget: 1s\n"
	inEnv := []string{"KELISIM_KAFKA_BROKERS=env-a:9092, env-b:9092", "KELISIM_BUDGET=2s"}
	inFlags := []string{"--kafka-brokers", "flag:9092", "--budget", "3s"}
	for _, c := range []struct {
		name    string
		file    string
		env     []string
		args    []string
		brokers []string
		budget  time.Duration
		origin  string
	}{
		{"default", "", nil, nil, []string{"default:9092"}, 20 * time.Second, "default"},
		{"file", inFile, nil, nil, []string{"file:9092"}, time.Second, "file "},
		{"environment over file", inFile, inEnv, nil, []string{"env-a:9092", "env-b:9092"}, 2 * time.Second, "KELISIM_BUDGET"},
		{"environment over default", "", inEnv, nil, []string{"env-a:9092", "env-b:9092"}, 2 * time.Second, "KELISIM_BUDGET"},
		{"flag over all", inFile, inEnv, inFlags, []string{"flag:9092"}, 3 * time.Second, "--budget"},
		{"flag over file", inFile, nil, inFlags, []string{"flag:9092"}, 3 * time.Second, "--budget"},
		{"an empty variable is not set", inFile, []string{"KELISIM_BUDGET="}, nil, []string{"file:9092"}, time.Second, "file "},
		{"a flag equal to the default counts", inFile, inEnv, []string{"--budget=20s"}, []string{"env-a:9092", "env-b:9092"}, 20 * time.Second, "--budget"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, loaded, err := load(t, c.file, c.env, c.args...)
			require.NoError(t, err)
			require.Equal(t, c.brokers, got.Kafka.Brokers)
			require.Equal(t, c.budget, got.Budget)
			require.True(t, strings.HasPrefix(loaded.Origin("budget"), c.origin), loaded.Origin("budget"))
			require.Equal(t, 7, got.Number, "what nobody set keeps its default")
		})
	}
}

func TestEveryFaultIsNamedAtOnce(t *testing.T) {
	for _, c := range []struct {
		name string
		file string
		env  []string
		want []string
	}{
		{
			"unknown keys name the nearest", "kafka: {broker: x}\nlevle: debug\n", nil,
			[]string{"key kafka.broker is unknown; the nearest is kafka.brokers", "key levle is unknown; the nearest is level"},
		},
		{"a key below a leaf", "level: {deep: 1}\n", nil, []string{"key level.deep is unknown"}},
		{"a value for a section", "kafka: here\n", nil, []string{"key kafka is unknown"}},
		{
			"unknown variables name the nearest", "", []string{"KELISIM_KAFKA_BROKER=x", "HOME=/root"},
			[]string{"variable KELISIM_KAFKA_BROKER is unknown; the nearest is KELISIM_KAFKA_BROKERS"},
		},
		{
			"service links are recognised", "", []string{"KELISIM_MARKETING_SERVICE_HOST=10.0.0.1"},
			[]string{"enableServiceLinks: false"},
		},
		{
			"a secret in the file", "kafka: {password: hunter2}\n", nil,
			[]string{"kafka.password is a secret", "kafka.password_file", "KELISIM_KAFKA_PASSWORD"},
		},
		{
			"wrong types, each with its origin", "budget: 20\nallow_remote: perhaps\n", []string{"KELISIM_NUMBER=many"},
			[]string{
				"budget, from file ", "a duration needs its unit", "allow_remote, from file ", "want true or false",
				"number, from KELISIM_NUMBER: want a whole number",
			},
		},
		{"a number for a text", "level: 7\n", nil, []string{"level, from file"}},
		{"layers do not hide each other's faults", "nope: 1\n", []string{"KELISIM_NOPE=1"}, []string{"key nope", "variable KELISIM_NOPE"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, _, err := load(t, c.file, c.env)
			require.Error(t, err)
			for _, want := range c.want {
				require.ErrorContains(t, err, want)
			}
			require.NotContains(t, err.Error(), "hunter2")
		})
	}
}

func TestFileIsReadAsPeopleWriteIt(t *testing.T) {
	got, _, err := load(t, "kafka.brokers: [a:1, b:2]\nlevel:\nallow_remote: true\nnumber: 3\n", nil)
	require.NoError(t, err)
	require.Equal(t, []string{"a:1", "b:2"}, got.Kafka.Brokers)
	require.Equal(t, "info", got.Level, "a key without a value says nothing")
	require.True(t, got.Remote)
	require.Equal(t, 3, got.Number)
}

func TestFileIsFoundThroughTheEnvironmentAndMustBeThere(t *testing.T) {
	_, _, err := load(t, "", []string{"KELISIM_CONFIG=/does/not/exist.yaml"})
	require.ErrorContains(t, err, "/does/not/exist.yaml")
}

func TestVariablesOfTestsAreLeftAlone(t *testing.T) {
	_, _, err := load(t, "", []string{"KELISIM_TEST_KAFKA=127.0.0.1:1"})
	require.NoError(t, err)
}

func TestSecretIsNeverPrintedAndHasNoFlag(t *testing.T) {
	got, loaded, err := load(t, "", []string{"KELISIM_KAFKA_PASSWORD=hunter2"})
	require.NoError(t, err)
	require.Equal(t, "hunter2", got.Kafka.Password)
	var out strings.Builder
	require.NoError(t, loaded.Print(&out, got))
	require.NotContains(t, out.String(), "hunter2")
	require.Regexp(t, `kafka\.password\s+set\s+KELISIM_KAFKA_PASSWORD`, out.String())
	require.Regexp(t, `budget\s+20s\s+default`, out.String())

	all, err := List(defaults())
	require.NoError(t, err)
	flags := pflag.NewFlagSet("test", pflag.ContinueOnError)
	AddFlags(flags, all)
	require.Nil(t, flags.Lookup("kafka-password"))
	require.NotNil(t, flags.Lookup("kafka-password-file"))
}

func TestUnknownFlagNamesTheNearest(t *testing.T) {
	all, err := List(defaults())
	require.NoError(t, err)
	flags := pflag.NewFlagSet("test", pflag.ContinueOnError)
	AddFlags(flags, all)
	err = ExplainFlag(flags, flags.Parse([]string{"--kafka-broker=x"}))
	require.EqualError(t, err, "flag --kafka-broker is unknown; the nearest is --kafka-brokers")
}

func TestDeclarationIsChecked(t *testing.T) {
	for name, faulty := range map[string]any{
		"no key": struct{ A string }{},
		"no help": struct {
			A string `key:"a"`
		}{},
		"unknown type": struct {
			A float32 `key:"a" help:"x"`
		}{},
		"a secret alone": struct {
			A string `key:"a" help:"x" secret:"true"`
		}{},
		"one variable, two": struct{ A, B string }{},
	} {
		_, err := List(faulty)
		require.Error(t, err, name)
	}
	_, err := List(struct {
		A string `key:"a_b" help:"x"`
		B struct {
			B string `key:"b" help:"x"`
		} `key:"a"`
	}{})
	require.ErrorContains(t, err, "same variable")
}
