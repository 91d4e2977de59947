package deploy_test

import (
	"bytes"
	"encoding/base64"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/kelisim/kelisim/consumers/affiliate"
	"github.com/kelisim/kelisim/internal/daemon"
	"github.com/kelisim/kelisim/internal/daemon/settings"
)

// compose is the part of a compose file that this one uses. Reading it proves that every name in it means something; that
// it runs, but for the images, TestWhatComposeSaysRuns tells, on real servers.
type compose struct {
	Name        string             `yaml:"name"`
	Service     any                `yaml:"x-service"`
	Environment any                `yaml:"x-environment"`
	Services    map[string]service `yaml:"services"`
	Volumes     map[string]any     `yaml:"volumes"`
}

type service struct {
	Image string `yaml:"image"`
	Build struct {
		Context    string `yaml:"context"`
		Dockerfile string `yaml:"dockerfile"`
	} `yaml:"build"`
	Profiles    []string          `yaml:"profiles"`
	Command     []string          `yaml:"command"`
	Environment map[string]string `yaml:"environment"`
	Ports       []string          `yaml:"ports"`
	Volumes     []string          `yaml:"volumes"`
	DependsOn   map[string]struct {
		Condition string `yaml:"condition"`
	} `yaml:"depends_on"`
	Healthcheck struct {
		Test     []string `yaml:"test"`
		Interval string   `yaml:"interval"`
		Timeout  string   `yaml:"timeout"`
		Retries  int      `yaml:"retries"`
	} `yaml:"healthcheck"`
	Restart         string   `yaml:"restart"`
	StopGracePeriod string   `yaml:"stop_grace_period"`
	ReadOnly        bool     `yaml:"read_only"`
	CapDrop         []string `yaml:"cap_drop"`
	SecurityOpt     []string `yaml:"security_opt"`
}

func TestComposeStartsTheServices(t *testing.T) {
	c := readCompose(t)
	var roles []string
	for name, s := range c.Services {
		if s.Build.Context != "" {
			roles = append(roles, name)
			require.Equal(t, []string{name}, s.Command, "a service is named after its role")
			require.DirExists(t, filepath.Join("..", "consumers", name))
			require.Equal(t, name == "policy", len(s.Profiles) > 0, "who needs a key of one's own does not start by itself")
			require.True(t, s.ReadOnly)
			require.Equal(t, []string{"ALL"}, s.CapDrop)
		}
	}
	require.ElementsMatch(t, []string{"marketing", "targeting", "affiliate", "policy", "snapshots"}, roles)
}

func TestComposeConfiguresTheServices(t *testing.T) {
	for name, s := range readCompose(t).Services {
		if s.Build.Context == "" {
			continue
		}
		var environ []string
		for key, value := range s.Environment {
			environ = append(environ, key+"="+value)
		}
		cfg, _, err := settings.Load(daemon.Defaults(), pflag.NewFlagSet(name, pflag.ContinueOnError), environ)
		require.NoError(t, err, name)
		require.NoError(t, cfg.Validate(), name)
		for _, broker := range cfg.Kafka.Brokers {
			require.Contains(t, readCompose(t).Services, strings.Split(broker, ":")[0], name)
		}
		for _, addr := range cfg.Redis.Addrs {
			require.Contains(t, readCompose(t).Services, strings.Split(addr, ":")[0], name)
		}
	}
}

func TestAffiliateFindsItsPartners(t *testing.T) {
	s := readCompose(t).Services["affiliate"]
	require.Contains(t, s.Volumes, "./partners.yaml:"+s.Environment["KELISIM_AFFILIATE_PARTNERS_FILE"]+":ro")
	_, err := affiliate.LoadPartners("partners.yaml", os.Getenv)
	require.NoError(t, err)

	file, err := os.ReadFile("partners.yaml")
	require.NoError(t, err)
	_, example, found := strings.Cut(string(file), "#   partners:\n")
	require.True(t, found)
	example, _, _ = strings.Cut(example, "partners: []")
	dir := t.TempDir()
	path := filepath.Join(dir, "partners.yaml")
	require.NoError(t, os.WriteFile(path, []byte("partners:\n"+strings.ReplaceAll(example, "#   ", "")), 0o600))
	key := func(fill byte) string { return base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{fill}, 32)) }
	require.NoError(t, os.WriteFile(filepath.Join(dir, "airline.key"), []byte(key(1)), 0o600))
	partners, err := affiliate.LoadPartners(path, func(string) string { return key(2) })
	require.NoError(t, err, "the example in the comment")
	require.Len(t, partners, 1)
}

func TestComposeNamesExist(t *testing.T) {
	c := readCompose(t)
	for name, s := range c.Services {
		for other, dep := range s.DependsOn {
			require.Contains(t, c.Services, other, name)
			if dep.Condition == "service_healthy" {
				require.NotEmpty(t, c.Services[other].Healthcheck.Test, "%s waits for the health of %s", name, other)
			}
		}
		for _, v := range s.Volumes {
			source, _, _ := strings.Cut(v, ":")
			switch {
			case strings.HasSuffix(source, ".key"): // made by whoever runs it
				require.NotEmpty(t, s.Profiles, name)
			case strings.HasPrefix(source, "."):
				require.FileExists(t, source, name)
			default:
				require.Contains(t, c.Volumes, source, name)
			}
		}
		if s.Build.Context != "" {
			require.FileExists(t, filepath.Join(s.Build.Context, s.Build.Dockerfile), name)
		}
		require.Regexp(t, `^[a-z0-9/.-]+:[a-z0-9.-]+$`, s.Image, "%s: a version", name)
		require.NotContains(t, s.Image, "latest", name)
	}
}

func TestComposeIsOpenToThisHostOnly(t *testing.T) {
	published := make(map[string]string)
	for name, s := range readCompose(t).Services {
		for _, port := range s.Ports {
			parts := strings.Split(port, ":")
			require.Len(t, parts, 3, "%s: %s", name, port)
			require.Equal(t, "127.0.0.1", parts[0], name)
			require.Empty(t, published[parts[1]], "%s: port %s is taken", name, parts[1])
			published[parts[1]] = name
		}
	}
}

func TestComposeRunsTheKafkaThatTestsRunOn(t *testing.T) {
	pom, err := os.ReadFile("../internal/testenv/realkafka/pom.xml")
	require.NoError(t, err)
	version := regexp.MustCompile(`<artifactId>kafka_2.13</artifactId>\s*<version>([^<]+)<`).FindSubmatch(pom)
	require.NotNil(t, version)
	c := readCompose(t)
	for _, name := range []string{"kafka", "topics"} {
		require.Equal(t, "apache/kafka:"+string(version[1]), c.Services[name].Image)
	}
}

func TestDockerfileBuildsWhatExists(t *testing.T) {
	dockerfile, err := os.ReadFile("Dockerfile")
	require.NoError(t, err)
	targets := regexp.MustCompile(`\./cmd/\S+`).FindAllString(string(dockerfile), -1)
	require.NotEmpty(t, targets)
	for _, target := range targets {
		require.DirExists(t, filepath.Join("..", target))
	}
	for _, file := range []string{"go.mod", "go.sum"} {
		require.FileExists(t, filepath.Join("..", file))
	}
	require.Contains(t, string(dockerfile), "CGO_ENABLED=0")
	require.Contains(t, string(dockerfile), "USER nonroot")
}

func readCompose(t *testing.T) compose {
	t.Helper()
	f, err := os.Open("compose.yaml")
	require.NoError(t, err)
	defer f.Close()
	dec := yaml.NewDecoder(f)
	dec.KnownFields(true)
	var c compose
	require.NoError(t, dec.Decode(&c))
	require.NotEmpty(t, slices.Collect(maps.Keys(c.Services)))
	return c
}
