package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/internal/testenv"
)

// Each session has five services, a broker and a Redis. They mostly wait, but under the race detector eight of them would
// find that everything is stale.
func TestMain(m *testing.M) {
	if !testenv.Raced {
		testenv.SideBySide()
	}
	testscript.Main(m, map[string]func(){"consentctl": main})
}

// scriptCommands are what the scripts in testdata can do beside testscript's own
// commands and consentctl itself:
//
//	exits CODE consentctl ARGS…     run it and want that exit code; stdout and stderr look at what it said
//	start SERVICE, halt SERVICE     run a service on the bench, and end it ("stop" would end the script, and well)
//	grant WHO PURPOSE…              publish a grant, and likewise withdraw; each is applied by the running services behind it
//	rubbish WHO                     publish a withdrawal whose data nobody can read
//	applied N                       wait until the running services have applied N more events than the test published
//	redis COMMAND ARGS…             do something to the caches by hand
//	relay PARTITIONS                from now on, as soon as a next generation is recorded: end the services' old one, start them in it
//	relayed                         wait until that is done, and set consentctl to it
//
// A file that needs others adds them in its init.
var scriptCommands = map[string]func(ts *testscript.TestScript, neg bool, args []string){
	"exits":    scriptExits,
	"start":    scriptStart,
	"halt":     func(ts *testscript.TestScript, _ bool, args []string) { benchOf(ts).stop(testingOf(ts), args[0]) },
	"grant":    scriptDecision(events.Granted),
	"withdraw": scriptDecision(events.Withdrawn),
	"rubbish":  scriptRubbish,
	"redis":    scriptRedis,
	"relay": func(ts *testscript.TestScript, _ bool, args []string) {
		n, err := strconv.ParseInt(args[0], 10, 32)
		ts.Check(err)
		benchOf(ts).relay(testingOf(ts), int32(n))
	},
	"relayed": func(ts *testscript.TestScript, _ bool, _ []string) { benchOf(ts).relayed(testingOf(ts)) },
	"applied": func(ts *testscript.TestScript, _ bool, args []string) {
		n, err := strconv.Atoi(args[0])
		ts.Check(err)
		for _, s := range benchOf(ts).running {
			s.Wait(testingOf(ts), benchOf(ts).written+int64(n))
		}
	},
}

// TestScripts runs testdata/*.txtar, each on a bench of its own.
func TestScripts(t *testing.T) {
	testenv.Parallel(t)
	files, err := filepath.Glob("testdata/*.txtar")
	require.NoError(t, err)
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			t.Parallel()
			newBench(t).run(t, file, scriptCommands)
		})
	}
}

// endsEarly finds testscript's own ways to end a script, and well, before its last line: what follows would never run.
var endsEarly = regexp.MustCompile(`(?m)^\s*(stop|skip)\b`)

// run runs a script on the bench, to its end.
func (b *bench) run(t *testing.T, file string, commands map[string]func(*testscript.TestScript, bool, []string)) {
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	require.NotRegexp(t, endsEarly, string(text), "to end a service is \"halt\"")
	testscript.Run(t, testscript.Params{Files: []string{file}, Cmds: commands, Setup: func(env *testscript.Env) error {
		env.Values["bench"], env.Values["testing"] = b, t
		env.Vars = append(env.Vars, b.environ()...)
		return nil
	}})
}

func benchOf(ts *testscript.TestScript) *bench       { return ts.Value("bench").(*bench) }
func testingOf(ts *testscript.TestScript) *testing.T { return ts.Value("testing").(*testing.T) }

// scriptStart starts a service, of which consentctl is told that it has to be there.
func scriptStart(ts *testscript.TestScript, _ bool, args []string) {
	benchOf(ts).start(testingOf(ts), args[0])
	if names := ts.Getenv(servicesEnv); !slices.Contains(strings.Split(names, ","), args[0]) {
		ts.Setenv(servicesEnv, names+","+args[0])
	}
}

func scriptExits(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		exited, ok := err.(*exec.ExitError)
		if !ok {
			ts.Fatalf("%v", err)
		}
		got = exited.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

func scriptDecision(kind events.Type) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, _ bool, args []string) {
		purposes := make([]events.Purpose, len(args)-1)
		for i, name := range args[1:] {
			purposes[i] = events.Purpose(name)
		}
		at := benchOf(ts).publish(testingOf(ts), event(args[0], kind, purposes...))
		benchOf(ts).settle(testingOf(ts))
		ts.Setenv("position", at.String())
	}
}

func scriptRubbish(ts *testscript.TestScript, _ bool, args []string) {
	e := event(args[0], events.Withdrawn, "promotion") // what permits would hold nobody
	ts.Setenv("id", e.ID)
	m := must(encoded(e))
	m.Value = []byte("no JSON")
	at := benchOf(ts).append(testingOf(ts), m)
	benchOf(ts).settle(testingOf(ts))
	ts.Setenv("position", at.String())
}

func scriptRedis(ts *testscript.TestScript, neg bool, args []string) {
	command := make([]any, len(args))
	for i, a := range args {
		command[i] = a
	}
	v, err := benchOf(ts).client.Do(testingOf(ts).Context(), command...).Result()
	if (err != nil) != neg {
		ts.Fatalf("redis: %v", err)
	}
	fmt.Fprintln(ts.Stdout(), v)
}
