package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/cmd/internal/roles"
	"github.com/kelisim/kelisim/deploy"
	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/internal/daemon"
	"github.com/kelisim/kelisim/internal/oncall/topics"
	"github.com/kelisim/kelisim/internal/testenv"
	"github.com/kelisim/kelisim/internal/testpolicy"
)

// The runbook of docs/operations.md is run here: each section has a session of the
// same name in testdata/runbook, an incident from the alert to the end, on a Kafka
// and a Redis of its own whose topics and groups have their real names.
//
// Beside what all scripts can do, an incident can:
//
//	all                           start all services
//	until CODE [PATTERN] consentctl ARGS…   run it until it ends so, and says that
//	topic NAME KEY=VALUE          change a setting of a topic behind consentctl's back
//	drop TOPIC                    delete a topic
//	kiosk WHO PURPOSE             a producer with another partitioner publishes a withdrawal
//	stray TOPIC                   a producer publishes an event to a topic that nobody reads
//	ahead WHO PURPOSE             a producer whose clock runs an hour ahead does
//	leftbehind WHO                a producer publishes a withdrawal to the log of the generation before
//	flush                         Redis comes back empty
//	kafka stop, kafka start       the broker goes away and comes back
var runbookCommands = map[string]func(ts *testscript.TestScript, neg bool, args []string){
	"until": scriptUntil,
	"all": func(ts *testscript.TestScript, _ bool, _ []string) {
		for _, role := range roles.All() {
			benchOf(ts).start(testingOf(ts), role.Name)
		}
	},
	"topic": func(ts *testscript.TestScript, _ bool, args []string) {
		name, value, _ := strings.Cut(args[1], "=")
		ts.Check(must(benchOf(ts).Admin()).SetTopicSettings(testingOf(ts).Context(), args[0], map[string]string{name: value}, false))
	},
	"drop": func(ts *testscript.TestScript, _ bool, args []string) {
		_, err := benchOf(ts).kafka.Admin(testingOf(ts)).DeleteTopics(testingOf(ts).Context(), args...)
		ts.Check(err)
	},
	"kiosk": func(ts *testscript.TestScript, _ bool, args []string) {
		e := event(args[0], events.Withdrawn, events.Purpose(args[1]))
		e.Source, e.Data = "/kiosk", []byte(`{"channel":"kiosk"}`)
		m := must(encoded(e))
		n := int32(must(must(deploy.Topics()).Topic(deploy.EventsTopic)).Partitions)
		m.Partition = (stream.Partition(m.Key, int(n)) + 1) % n
		ts.Setenv("position", benchOf(ts).append(testingOf(ts), m).String())
	},
	"ahead": func(ts *testscript.TestScript, _ bool, args []string) {
		e := event(args[0], events.Granted, events.Purpose(args[1]))
		e.Source, e.Decided, e.Data = "/tv", e.Decided+events.Millis(time.Hour/time.Millisecond), []byte(`{"channel":"app"}`)
		ts.Setenv("position", benchOf(ts).publish(testingOf(ts), e).String())
	},
	"stray": func(ts *testscript.TestScript, _ bool, args []string) {
		t, b := testingOf(ts), benchOf(ts)
		spec := stream.TopicSpec{Name: args[0], Partitions: 1, Replicas: 1}
		ts.Check(must(b.Admin()).CreateTopics(t.Context(), []stream.TopicSpec{spec}))
		m := must(encoded(event("s-000009", events.Withdrawn, "promotion")))
		m.Topic = args[0]
		_, err := b.producer.Publish(t.Context(), m)
		ts.Check(err)
	},
	"leftbehind": func(ts *testscript.TestScript, _ bool, args []string) {
		t, b := testingOf(ts), benchOf(ts)
		m := must(encoded(event(args[0], events.Withdrawn, "promotion")))
		m.Topic = topics.NameOf(b.Topics.Events, b.Generation-1)
		_, err := b.producer.Publish(t.Context(), m)
		ts.Check(err)
	},
	"flush": func(ts *testscript.TestScript, _ bool, _ []string) { benchOf(ts).server.Flush(testingOf(ts)) },
	"kafka": func(ts *testscript.TestScript, _ bool, args []string) {
		act := map[string]func(testing.TB, ...int){"stop": benchOf(ts).kafka.Kill, "start": benchOf(ts).kafka.Start}[args[0]]
		act(testingOf(ts))
	},
}

// runbookPatience bounds what an incident waits for, and runbookLook is the pause between two looks: each is a
// program of its own, and the machine is for the services too.
const (
	runbookPatience = 90 * time.Second
	runbookLook     = 500 * time.Millisecond
)

func scriptUntil(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	says := regexp.MustCompile("")
	if args[1] != "consentctl" { // the code alone may come sooner, of another partition
		says = regexp.MustCompile("(?m)" + args[1])
		args = args[1:]
	}
	pace := time.NewTicker(runbookLook)
	defer pace.Stop()
	for began := time.Now(); ; <-pace.C {
		got := 0
		err := ts.Exec(args[1], args[2:]...)
		if exited, ok := err.(*exec.ExitError); ok {
			got = exited.ExitCode()
		} else if err != nil {
			ts.Fatalf("%v", err)
		}
		if got == want && says.MatchString(ts.ReadFile("stdout")) {
			return
		}
		if time.Since(began) > runbookPatience {
			ts.Fatalf("exit code %d after %v, want %d and %q", got, runbookPatience, want, says)
		}
	}
}

// newIncident is a bench with everything under its real name, and topics as they
// are deployed.
func newIncident(t *testing.T) *bench {
	t.Helper()
	b := &bench{kafka: testenv.StartKafka(t, testenv.KafkaConfig{}), groups: roles.GroupOf}
	b.equip(t, daemon.Defaults().Topics)
	admin := must(b.Admin())
	wanted, err := topics.Wanted(t.Context(), admin, must(deploy.Topics()), nil)
	require.NoError(t, err)
	require.NoError(t, topics.Create(t.Context(), admin, wanted))
	testpolicy.Publish(t, b.kafka, deploy.PoliciesTopic, testpolicy.Seed(t))
	b.seeded = true
	return b
}

func TestRunbook(t *testing.T) {
	testenv.Parallel(t)
	files, err := filepath.Glob("testdata/runbook/*.txtar")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	commands := make(map[string]func(*testscript.TestScript, bool, []string))
	for _, set := range []map[string]func(*testscript.TestScript, bool, []string){scriptCommands, runbookCommands} {
		for name, command := range set {
			commands[name] = command
		}
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			t.Parallel() // each has servers of its own, and mostly waits
			newIncident(t).run(t, file, commands)
		})
	}
}

// A command of the documentation, and one of a script.
var (
	documented = regexp.MustCompile(`(?m)^\$ (consentctl .*?)(?:\s+#.*)?$`)
	scripted   = regexp.MustCompile(`(?m)^(?:exits|until) \d+ (?:'[^']*' )?(consentctl .*?)\s*$`)
)

// sections are the symptoms of the runbook by the name of their session, and the
// commands that they tell.
func sections(t *testing.T) map[string][]string {
	text, err := os.ReadFile("../../docs/operations.md")
	require.NoError(t, err)
	_, runbook, found := strings.Cut(string(text), "\n## Runbook\n")
	require.True(t, found)
	runbook, _, _ = strings.Cut(runbook, "\n## ")
	out := make(map[string][]string)
	for _, section := range strings.Split(runbook, "\n### ")[1:] {
		title, body, _ := strings.Cut(section, "\n")
		name := strings.Trim(regexp.MustCompile(`[^a-z0-9]+`).ReplaceAllString(strings.ToLower(title), "-"), "-")
		for _, m := range documented.FindAllStringSubmatch(body, -1) {
			out[name] = append(out[name], m[1])
		}
	}
	return out
}

// TestRunbookSaysWhatItsSessionsRun, word for word.
func TestRunbookSaysWhatItsSessionsRun(t *testing.T) {
	told := sections(t)
	require.NotEmpty(t, told)
	for name, commands := range told {
		script, err := os.ReadFile(filepath.Join("testdata/runbook", name+".txtar"))
		require.NoError(t, err, "the section has commands, and no session that runs them")
		ran := make(map[string]bool)
		for _, m := range scripted.FindAllStringSubmatch(string(script), -1) {
			ran[m[1]] = true
		}
		for _, command := range commands {
			require.True(t, ran[command], "%s: the session does not run %q", name, command)
		}
	}
	files, err := filepath.Glob("testdata/runbook/*.txtar")
	require.NoError(t, err)
	for _, file := range files {
		require.Contains(t, told, strings.TrimSuffix(filepath.Base(file), ".txtar"), "a session that no section tells of")
	}
}

// TestOperationsLinkToWhatIsThere: a heading that was renamed leads nobody astray.
func TestOperationsLinkToWhatIsThere(t *testing.T) {
	text, err := os.ReadFile("../../docs/operations.md")
	require.NoError(t, err)
	there := make(map[string]bool)
	for _, m := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(string(text), -1) {
		bare := regexp.MustCompile(`[^a-z0-9 -]`).ReplaceAllString(strings.ToLower(m[1]), "") // as GitHub makes anchors
		there[strings.ReplaceAll(bare, " ", "-")] = true
	}
	for _, m := range regexp.MustCompile(`\]\(#([^)]*)\)`).FindAllStringSubmatch(string(text), -1) {
		require.True(t, there[m[1]], "no heading #%s", m[1])
	}
}
