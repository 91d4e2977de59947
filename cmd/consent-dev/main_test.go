package main

import (
	"context"
	"io"
	"net"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/goleak"

	"github.com/kelisim/kelisim/deploy"
	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/internal/embedded"
	"github.com/kelisim/kelisim/internal/testenv"
)

// output is written by the program and read by the test.
type output struct {
	mu   sync.Mutex
	text strings.Builder
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// waitFor waits until the program has written something, and returns its
// submatches.
func (o *output) waitFor(t *testing.T, pattern string) []string {
	t.Helper()
	var found []string
	require.Eventually(t, func() bool {
		found = regexp.MustCompile(pattern).FindStringSubmatch(o.String())
		return found != nil
	}, 2*patience, 5*time.Millisecond, "want %s", pattern)
	return found
}

// embeddedWith returns the arguments for embedded servers on any free port.
func embeddedWith(more ...string) []string {
	return append([]string{"--kafka-port", "0", "--redis-port", "0"}, more...)
}

// few keeps the load small: the embedded Redis is slow under the race detector.
func few(more ...string) []string {
	return append([]string{"--subjects", "200", "--rate", "10"}, more...)
}

func TestOneStoryOnEmbeddedServersHoldsEveryPromise(t *testing.T) {
	before := goleak.IgnoreCurrent()
	var out, errs output
	err := run(t.Context(), embeddedWith(few("--once")...), nil, &out, &errs)
	require.NoError(t, err, out.String())
	requireAllHeld(t, out.String(), 4)
	require.Empty(t, errs.String())
	require.NotContains(t, out.String(), "\x1b[", "no colours off a terminal")
	goleak.VerifyNone(t, before)
}

// The same on servers that somebody else runs, real ones under the tag real. Of
// those no cache is emptied.
func TestOneStoryOnGivenServersHoldsEveryPromise(t *testing.T) {
	testenv.Parallel(t)
	kafka, redis := testenv.StartKafka(t, testenv.KafkaConfig{}), testenv.Redis(t)
	var out output
	err := run(t.Context(), few("--once", "--kafka", kafka.Addr(), "--redis", redis.Addr()), nil, &out, io.Discard)
	require.NoError(t, err, out.String())
	t.Log(out.String())
	requireAllHeld(t, out.String(), 3)
}

func requireAllHeld(t *testing.T, out string, promises int) {
	t.Helper()
	require.NotContains(t, out, "BROKEN")
	require.Equal(t, promises, strings.Count(out, " held "), out)
	for _, service := range []string{"marketing", "targeting", "affiliate"} {
		require.Regexp(t, `ms  `+service+` +guard denies`, out)
		require.Regexp(t, service+` +\S+ +deny +withdrawn +by \d+/\d+@\d+`, out)
	}
	require.Contains(t, out, "for development, not for production")
}

func TestItRunsUntilInterruptedAndLeavesNothingBehind(t *testing.T) {
	before := goleak.IgnoreCurrent()
	ctx, interrupt := context.WithCancel(t.Context())
	var out, errs output
	ended := make(chan error, 1)
	go func() {
		ended <- run(ctx, embeddedWith("--story-every", "1s", "--subjects", "50"), nil, &out, &errs)
	}()
	kafka := out.waitFor(t, `Kafka  (\S+)`)[1]
	redis := out.waitFor(t, `Redis  (\S+)`)[1]
	out.waitFor(t, `withdrawal 2 ·`)
	interrupt()
	require.NoError(t, <-ended)
	require.Empty(t, errs.String())
	for _, addr := range []string{kafka, redis} {
		_, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", addr)
		require.Error(t, err, "%s still listens", addr)
	}
	goleak.VerifyNone(t, before)
}

// What the page says to try is tried: the withdrawal by hand, exactly with the
// printed attributes, and the loss of the cache.
func TestWhatToTryNextWorks(t *testing.T) {
	testenv.Parallel(t)
	ctx, interrupt := context.WithCancel(t.Context())
	var out output
	ended := make(chan error, 1)
	go func() {
		ended <- run(ctx, embeddedWith("--story-every", "1h", "--subjects", "10"), nil, &out, io.Discard)
	}()
	kafka := out.waitFor(t, `Kafka  (\S+)`)[1]
	out.waitFor(t, `kcat -P [^|]*content-type=application/json\n`)
	out.waitFor(t, `Read the log along`)
	out.waitFor(t, `try-me: marketing allow`)

	record := printedRecord(t, out.String())
	client, err := kgo.NewClient(kgo.SeedBrokers(kafka))
	require.NoError(t, err)
	defer client.Close()
	require.NoError(t, client.ProduceSync(t.Context(), record).FirstErr())
	out.waitFor(t, `try-me: marketing allow \(granted\) → deny \(withdrawn\)\n`)
	interrupt()
	require.NoError(t, <-ended)
}

// The printed line is run as it stands, until the snapshots are all there.
func TestNewcomerRebuildsACacheFromSnapshots(t *testing.T) {
	testenv.Parallel(t)
	ctx, interrupt := context.WithCancel(t.Context())
	var out output
	ended := make(chan error, 1)
	go func() {
		ended <- run(ctx, embeddedWith("--story-every", "1h", "--subjects", "10"), nil, &out, io.Discard)
	}()
	line := out.waitFor(t, `  go run (\./cmd/consentctl) (rebuild marketing .*)\n`)
	program := filepath.Join(t.TempDir(), "consentctl")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program, line[1])
	build.Dir = "../.."
	said, err := build.CombinedOutput()
	require.NoError(t, err, string(said))
	require.Eventually(t, func() bool {
		rebuild := exec.CommandContext(t.Context(), program, strings.Fields(line[2])...)
		rebuild.Env = []string{"HOME=" + t.TempDir()}
		said, err = rebuild.CombinedOutput()
		return err == nil && strings.Count(string(said), "snapshots and log from ") == eventPartitions(t)
	}, 2*patience, time.Second, "%s", said)
	require.Regexp(t, `(?m)^marketing: would deny 0, would allow 0, otherwise change 0, unchanged \d+$`, string(said))
	interrupt()
	require.NoError(t, <-ended)
}

func eventPartitions(t *testing.T) int {
	layout, err := deploy.Topics()
	require.NoError(t, err)
	spec, err := layout.Topic(deploy.EventsTopic)
	require.NoError(t, err)
	return spec.Partitions
}

// printedRecord reads the record off the printed kcat command.
func printedRecord(t *testing.T, out string) *kgo.Record {
	t.Helper()
	data := regexp.MustCompile(`echo '([^']+)' \| \\`).FindStringSubmatch(out)
	require.NotNil(t, data)
	record := &kgo.Record{Topic: deploy.EventsTopic, Key: []byte(handSubject), Value: []byte(data[1])}
	for _, header := range regexp.MustCompile(`-H (\S+?)=(\$\(date[^)]+\)|\S+)`).FindAllStringSubmatch(out[:strings.Index(out, "Consent again")], -1) {
		value := header[2]
		switch header[1] {
		case "ce_id":
			value = "by-hand-1"
		case "ce_time":
			value = time.Now().UTC().Format("2006-01-02T15:04:05Z")
		}
		record.Headers = append(record.Headers, kgo.RecordHeader{Key: header[1], Value: []byte(value)})
	}
	return record
}

func TestDataDirectoryKeepsTheLog(t *testing.T) {
	testenv.Parallel(t)
	dir := t.TempDir()
	args := embeddedWith("--once", "--data", dir, "--subjects", "10", "--rate", "0")
	for range 2 {
		require.NoError(t, run(t.Context(), args, nil, io.Discard, io.Discard))
	}
	kafka, err := embedded.StartKafka(embedded.KafkaConfig{DataDir: dir})
	require.NoError(t, err)
	defer kafka.Close()
	admin, err := stream.NewAdmin(stream.Config{Brokers: kafka.Addrs()})
	require.NoError(t, err)
	ranges, err := admin.Offsets(t.Context(), deploy.EventsTopic)
	require.NoError(t, err)
	total := int64(0)
	for _, r := range ranges {
		total += r.End
	}
	const story = 5 // grant, withdrawal, copy, late grant, witness
	require.EqualValues(t, 2*(10*eventsOfArrival+story), total)
}

func TestTakenPortsAreStepped(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = taken.Close() }()
	port := taken.Addr().(*net.TCPAddr).Port
	s, err := startServers(t.Context(), options{kafkaPort: port, redisPort: port})
	require.NoError(t, err)
	defer s.close()
	require.NotEqual(t, taken.Addr().String(), s.kafka)
	require.NotEqual(t, s.kafka, s.redis)
}

func TestServersThatAreNotThereAreNamed(t *testing.T) {
	err := run(t.Context(), []string{"--kafka", "127.0.0.1:1", "--redis", "127.0.0.1:2"}, nil, io.Discard, io.Discard)
	require.ErrorContains(t, err, "--kafka 127.0.0.1:1: ")
	require.ErrorContains(t, err, "--redis 127.0.0.1:2: ")
}

func TestFaultyFlagsAreNamed(t *testing.T) {
	for want, args := range map[string][]string{
		"--kafka x":                {"--kafka", "x"},
		"--redis y":                {"--redis", "y"},
		"--data is for the":        {"--kafka", "k:1", "--data", "d"},
		"--rate 1e+06":             {"--rate", "1e6"},
		"--subjects 0":             {"--subjects", "0"},
		"--story-every 1ms":        {"--story-every", "1ms"},
		"unknown flag: --kafak":    {"--kafak", "k:1"},
		`unknown command "please"`: {"please"},
	} {
		require.ErrorContains(t, run(t.Context(), args, nil, io.Discard, io.Discard), want)
	}
}
