//go:build real

package deploy_test

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/deploy"
	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/cloudevent"
	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/guard"
	"github.com/kelisim/kelisim/internal/testenv/process"
	"github.com/kelisim/kelisim/internal/testenv/realkafka"
	"github.com/kelisim/kelisim/internal/testpolicy"
	"github.com/kelisim/kelisim/schemas"
)

// host does what compose.yaml says on this host and without containers: the same programs with the same arguments and
// environments, but for the names of hosts, ports and directories. Kafka is configured by the program that does it in its
// image, which is in Kafka's own jars. What is not tried are the images and the network between them.
type host struct {
	t       *testing.T
	compose compose
	dir     string
	java    []string
	rename  *strings.Replacer
	kafka   string // as published to the host
	redis   string
}

func newHost(t *testing.T) *host {
	h := &host{t: t, compose: readCompose(t)}
	var err error
	h.dir, err = process.Dir("compose")
	require.NoError(t, err)
	h.java, err = realkafka.Java(t.Context())
	require.NoError(t, err)
	ports, err := process.FreePorts(4)
	require.NoError(t, err)
	at := func(i int) string { return fmt.Sprintf("127.0.0.1:%d", ports[i]) }
	h.kafka, h.redis = at(2), at(3)
	partners, err := filepath.Abs("partners.yaml")
	require.NoError(t, err)
	h.rename = strings.NewReplacer(
		"INSIDE://:9092", "INSIDE://"+at(0), "CONTROLLER://:9093", "CONTROLLER://"+at(1), "HOST://:9094", "HOST://"+at(2),
		"kafka:9092", at(0), "kafka:9093", at(1), "127.0.0.1:9094", at(2), "redis:6379", at(3),
		"/var/lib/kafka/data", filepath.Join(h.dir, "kafka-data"), "/etc/kelisim/partners.yaml", partners,
		"/usr/local/etc/redis/redis.conf", "redis.conf", "/create-topics.sh", "create-topics.sh",
	)
	return h
}

// environ is what a service has around it, and nothing else.
func (h *host) environ(service string, more ...string) []string {
	all := append([]string{"-i", "PATH=" + os.Getenv("PATH")}, more...)
	env := h.compose.Services[service].Environment
	for _, key := range slices.Sorted(maps.Keys(env)) {
		all = append(all, key+"="+h.rename.Replace(env[key]))
	}
	return all
}

func (h *host) command(service string) (args []string) {
	for _, arg := range h.compose.Services[service].Command {
		args = append(args, h.rename.Replace(arg))
	}
	return args
}

// start runs a program until the test ends.
func (h *host) start(name string, args ...string) {
	p, err := process.Start(filepath.Join(h.dir, name+".log"), "env", args...)
	require.NoError(h.t, err)
	h.t.Cleanup(func() {
		if h.t.Failed() {
			h.t.Logf("%s: %s", name, p.LogTail())
		}
		require.NoError(h.t, p.Stop())
	})
}

// startKafka does what the entry point of Kafka's image does: it makes the settings out of the environment, formats the
// directory, and starts.
func (h *host) startKafka() {
	image := filepath.Join(h.dir, "image") // what the image brings along: no settings of its own that matter here
	require.NoError(h.t, os.MkdirAll(image, 0o700))
	for _, name := range []string{"server.properties", "log4j2.yaml", "tools-log4j2.yaml"} {
		require.NoError(h.t, os.WriteFile(filepath.Join(image, name), nil, 0o600))
	}
	final := filepath.Join(h.dir, "config")
	require.NoError(h.t, os.MkdirAll(final, 0o700))
	setup := slices.Concat(h.environ("kafka"), []string{"java"}, h.java, []string{
		"kafka.docker.KafkaDockerWrapper", "setup", "--default-configs-dir", image, "--mounted-configs-dir", h.dir, "--final-configs-dir", final,
	})
	out, err := exec.Command("env", setup...).CombinedOutput()
	require.NoError(h.t, err, "%s", out)
	h.start("kafka", slices.Concat(h.environ("kafka"), []string{"java"}, h.java,
		[]string{"kafka.Kafka", filepath.Join(final, "server.properties")})...)
	admin, err := stream.NewAdmin(stream.Config{Brokers: []string{h.kafka}})
	require.NoError(h.t, err)
	h.becomes("kafka answers", func() bool { _, err := admin.Cluster(h.t.Context()); return err == nil })
}

func (h *host) startRedis() {
	_, port, _ := strings.Cut(h.redis, ":")
	h.start("redis", slices.Concat(h.environ("redis"), h.command("redis"), []string{"--bind", "127.0.0.1", "--port", port, "--dir", h.dir})...)
	client := h.client()
	h.becomes("redis answers", func() bool { return client.Ping(h.t.Context()).Err() == nil })
}

func (h *host) client() *redis.Client {
	client := redis.NewClient(&redis.Options{Addr: h.redis, DisableIdentity: true})
	h.t.Cleanup(func() { _ = client.Close() })
	return client
}

func (h *host) createTopics() {
	args := append(h.environ("topics", "KAFKA_TOPICS="+kafkaTopics(h.t)), h.command("topics")...)
	out, err := exec.Command("env", args...).CombinedOutput()
	require.NoError(h.t, err, "%s", out)
}

// startServices starts those that need no key of one's own.
func (h *host) startServices() {
	binary := filepath.Join(h.dir, "consentd")
	out, err := exec.Command("go", "build", "-o", binary, "../cmd/consentd").CombinedOutput()
	require.NoError(h.t, err, "%s", out)
	admin := make(map[string]string) // addresses, by service
	for name, s := range h.compose.Services {
		if s.Build.Context == "" || len(s.Profiles) > 0 {
			continue
		}
		ports, err := process.FreePorts(1)
		require.NoError(h.t, err)
		admin[name] = fmt.Sprintf("127.0.0.1:%d", ports[0])
		h.start(name, slices.Concat(h.environ(name), []string{"KELISIM_ADMIN_ADDR=" + admin[name], binary}, h.command(name))...)
	}
	for name, addr := range admin {
		h.becomes(name+" is ready", func() bool {
			answer, err := http.Get("http://" + addr + "/readyz")
			if err != nil {
				return false
			}
			defer answer.Body.Close()
			_, _ = io.Copy(io.Discard, answer.Body)
			return answer.StatusCode == http.StatusOK
		})
	}
}

func (h *host) becomes(what string, so func() bool) {
	h.t.Helper()
	require.Eventually(h.t, so, time.Minute, 20*time.Millisecond, what)
}

func TestWhatComposeSaysRuns(t *testing.T) {
	h := newHost(t)
	h.startKafka()
	h.startRedis()
	h.createTopics()
	h.startServices()

	rules, client := events.SeedRules(), h.client()
	producer, err := stream.NewProducer(stream.ProducerConfig{Config: stream.Config{Brokers: []string{h.kafka}}})
	require.NoError(t, err)
	defer func() { _ = producer.Close(context.Background()) }()
	_, err = producer.Publish(t.Context(), testpolicy.Message(t, deploy.PoliciesTopic, testpolicy.Seed(t)))
	require.NoError(t, err)
	someone, err := events.ParseSubject("compose-1")
	require.NoError(t, err)
	asked := map[string]events.Purpose{"marketing": "promotion", "targeting": "targeted-ads", "affiliate": "cross-border"}
	purposes, err := rules.Set(slices.Collect(maps.Values(asked))...)
	require.NoError(t, err)
	for i, kind := range []events.Type{events.Granted, events.Withdrawn} {
		m, err := cloudevent.Encoder{Rules: rules, Data: schemas.Data}.Encode(&events.Event{
			Method: events.ByPerson, Evidence: "https://evidence.example/1", ID: fmt.Sprint(i), Source: "/web", Type: kind, Subject: someone,
			Policy: events.SeedPolicy, Purposes: purposes, Decided: events.MillisOf(producer.Now()), Data: []byte(`{"channel":"web"}`),
		})
		require.NoError(t, err)
		m.Topic = deploy.EventsTopic
		_, err = producer.Publish(t.Context(), m)
		require.NoError(t, err)
		for service, purpose := range asked {
			ask := guard.New(client, service)
			want := []events.Reason{events.ByGrant, events.ByWithdrawal}[i]
			h.becomes(fmt.Sprintf("%s: %s is %v", service, purpose, want), func() bool {
				return ask.Check(t.Context(), someone, purpose).Reason == want
			})
		}
	}
}
