package main

import (
	"context"
	"encoding/base64"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/kelisim/kelisim/cmd/internal/roles"
	"github.com/kelisim/kelisim/deploy"
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

func TestConfigPrintsValuesAndOrigins(t *testing.T) {
	path := filepath.Join(t.TempDir(), "consentd.yaml")
	require.NoError(t, os.WriteFile(path, []byte("kafka: {brokers: [file:9092]}\nlog: {level: debug}\n"), 0o600))
	var out output
	err := run(t.Context(), []string{"config", "--config", path, "--log-level", "warn"},
		[]string{"KELISIM_REDIS_ADDRS=redis:6379", "KELISIM_REDIS_PASSWORD=hunter2"}, &out, io.Discard)
	require.NoError(t, err)
	for _, want := range []string{
		`kafka\.brokers +file:9092 +file `, `redis\.addrs +redis:6379 +KELISIM_REDIS_ADDRS`, `redis\.password +set +KELISIM_REDIS_PASSWORD`,
		`log\.level +warn +--log-level`, `shutdown\.budget +20s +default`,
	} {
		require.Regexp(t, want, out.String())
	}
	require.NotContains(t, out.String(), "hunter2")
}

func TestFaultyConfigurationIsNamedBeforeAnythingStarts(t *testing.T) {
	for _, c := range []struct {
		name      string
		args, env []string
		want      []string
	}{
		{"nothing is given", nil, nil, []string{"kafka.brokers: not set", "redis.addrs: not set"}},
		{"unknown variable", nil, []string{"KELISIM_KAFKA_BROKER=x"}, []string{"the nearest is KELISIM_KAFKA_BROKERS"}},
		{"unknown flag", []string{"--redis-adrs=x"}, nil, []string{"flag --redis-adrs is unknown; the nearest is --redis-addrs"}},
		{"open admin port", []string{"--kafka-brokers=k:1", "--redis-addrs=r:1", "--admin-addr=:9464"}, nil, []string{"admin.allow_remote"}},
		{"a file that is not there", []string{"--config=/does/not/exist.yaml"}, nil, []string{"/does/not/exist.yaml"}},
	} {
		for _, command := range []string{"marketing", "config"} {
			err := run(t.Context(), append([]string{command}, c.args...), c.env, io.Discard, io.Discard)
			for _, want := range c.want {
				require.ErrorContains(t, err, want, "%s: %s", command, c.name)
			}
		}
	}
}

func TestRolesAreCommands(t *testing.T) {
	var out output
	require.NoError(t, run(t.Context(), []string{"--help"}, nil, &out, io.Discard))
	for _, role := range roles.All() {
		require.Contains(t, out.String(), role.Name)
		require.Contains(t, out.String(), role.Short)
	}
	require.Error(t, run(t.Context(), []string{"sales"}, nil, io.Discard, io.Discard))
}

// A role becomes ready, and leaves nothing behind when it is asked to end.
func TestRoleServesAndEndsInOrder(t *testing.T) {
	for _, role := range roles.All() {
		t.Run(role.Name, func(t *testing.T) {
			kafka, redis := testenv.Kafka(t), testenv.Redis(t)
			layout, err := deploy.Topics()
			require.NoError(t, err)
			topic := func(name string) string {
				spec, err := layout.Topic(name)
				require.NoError(t, err)
				return kafka.Topic(t, testenv.TopicSpec{Name: name, Partitions: spec.Partitions, Config: map[string]string{
					"message.timestamp.type": spec.Config["message.timestamp.type"],
				}})
			}
			args := []string{
				role.Name, "--kafka-brokers", kafka.Addr(), "--redis-addrs", redis.Addr(), "--admin-addr", "127.0.0.1:0",
				"--topics-events", topic(deploy.EventsTopic), "--topics-policies", topic(deploy.PoliciesTopic),
				"--topics-parked", topic(deploy.ParkedTopic),
				"--topics-receipts", topic(deploy.ReceiptsTopic), "--policy-activity-topic", topic(deploy.ActivityTopic),
				"--policy-key-file", keyFile(t), "--topics-state", topic(deploy.StateTopic),
			}
			before := goleak.IgnoreCurrent()
			ctx, cancel := context.WithCancel(t.Context())
			var logged output
			ended := make(chan error, 1)
			go func() { ended <- run(ctx, args, nil, io.Discard, &logged) }()
			admin := ""
			require.Eventually(t, func() bool {
				m := regexp.MustCompile(`"admin":"([^"]+)"`).FindStringSubmatch(logged.String())
				if m != nil {
					admin = m[1]
				}
				return m != nil
			}, 10*time.Second, time.Millisecond)
			require.Eventually(t, func() bool {
				code, _ := get(t, admin, "/readyz")
				return code == http.StatusOK
			}, 20*time.Second, 10*time.Millisecond)
			require.Eventually(t, func() bool { // fresh, as a guard would see it
				_, metrics := get(t, admin, "/metrics")
				return regexp.MustCompile(`consent_staleness_seconds{partition="11",service="` + role.Name + `"} [0-2](\.|\n)`).MatchString(metrics)
			}, 20*time.Second, 10*time.Millisecond)
			cancel()
			require.NoError(t, <-ended, logged.String())
			require.NotContains(t, logged.String(), `"level":"ERROR"`)
			goleak.VerifyNone(t, before)

			origin, err := redis.Client(t).Get(t.Context(), "consent:{"+role.Name+"}:kafka").Result()
			require.NoError(t, err)
			require.NotEmpty(t, origin, "the cluster that it is folded from")
		})
	}
}

// keyFile returns a file that holds a key, as openssl writes it.
func keyFile(t *testing.T) string {
	path := filepath.Join(t.TempDir(), "key")
	require.NoError(t, os.WriteFile(path, []byte(base64.StdEncoding.EncodeToString(make([]byte, 32))+"\n"), 0o600))
	return path
}

func TestTheRolePolicyNeedsItsKey(t *testing.T) {
	err := run(t.Context(), []string{"policy", "--kafka-brokers=k:1", "--redis-addrs=r:1", "--admin-addr=127.0.0.1:0"}, nil, io.Discard, io.Discard)
	require.ErrorContains(t, err, "set policy.key_file")
	err = run(t.Context(), []string{
		"policy", "--kafka-brokers=k:1", "--redis-addrs=r:1", "--admin-addr=127.0.0.1:0", "--policy-key-file", keyFile(t), "--policy-activity-subject=body:id",
	}, nil, io.Discard, io.Discard)
	require.ErrorContains(t, err, "policy.activity: subject")
}

func get(t *testing.T, addr, path string) (status int, body string) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+addr+path, nil)
	require.NoError(t, err)
	resp, err := client.Do(req)
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, string(text)
}
