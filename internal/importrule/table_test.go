package importrule_test

import (
	"path"
	"strings"
)

const module = "github.com/kelisim/kelisim"

// place is where a package stands, left to right, and what it may import directly in its non-test files.
type place struct {
	pkg string // below the module; "/..." means with everything below it
	// ours are the packages of this module that it may import; "..." means all of them. A tree may import within itself.
	ours []string
	// libs are the guarded libraries that it may import.
	libs []string
}

const (
	kafkaGo     = "github.com/segmentio/kafka-go"
	cloudEvents = "github.com/cloudevents/sdk-go"
	goRedis     = "github.com/redis/go-redis"
)

// guarded are the libraries that only some packages may import, so that the rest does not come to depend on their shape.
var guarded = []string{kafkaGo, cloudEvents, goRedis}

// table is DESIGN 7: import only to your left. The first place that matches a package is its own.
var table = []place{
	{pkg: "events"},
	{pkg: "schemas/..."},
	{pkg: "deploy"},

	{pkg: "events/stream/recordbatch/..."},
	{pkg: "events/stream/...", ours: []string{"events", "events/stream/recordbatch"}, libs: []string{kafkaGo}},
	{pkg: "events/policy", ours: []string{"events"}},
	// A binding that others would import on its own.
	{pkg: "events/cekafka/...", libs: []string{kafkaGo, cloudEvents}},
	{pkg: "events/cloudevent/...", ours: []string{"events", "events/cekafka", "events/stream", "events/stream/recordbatch"}},

	{pkg: "events/snapshot", ours: []string{"events", "events/stream"}},

	{pkg: "internal/policyfeed", ours: []string{"events", "events/policy", "events/stream", "events/cloudevent"}},
	{pkg: "internal/cache/...", ours: []string{"events"}, libs: []string{goRedis}},
	// The two arms meet in the cache and nowhere else.
	{pkg: "guard/...", ours: []string{"events", "events/policy", "internal/cache"}, libs: []string{goRedis}},
	{pkg: "consumers", ours: []string{"events", "events/policy", "events/stream", "events/cloudevent", "internal/cache", "consumers/internal"}},
	{pkg: "consumers/internal/...", ours: []string{"events", "events/policy", "internal/cache", "consumers"}, libs: []string{goRedis}},
	// The role that publishes what the policy's calendar asks for.
	{
		pkg:  "consumers/policy",
		ours: []string{"events", "events/policy", "events/stream", "events/cloudevent", "consumers", "consumers/internal", "internal/cache"},
		libs: []string{goRedis},
	},
	// What it keeps in line is a topic, where the others have keys.
	{
		pkg: "consumers/snapshots", ours: []string{"events", "events/stream", "events/snapshot", "consumers", "consumers/internal"},
		libs: []string{goRedis},
	},
	// A service knows no Kafka and never a sibling.
	{pkg: "consumers/*", ours: []string{"events", "consumers", "consumers/internal"}, libs: []string{goRedis}},

	{pkg: "internal/daemon/..."},
	{pkg: "internal/synthetic/...", ours: []string{"events"}},
	{pkg: "internal/simulation/...", ours: []string{"events"}},
	// What consentctl does, one package for each thing; cmd wires it. The cluster opens the clients for all of them.
	{pkg: "internal/oncall/cluster", ours: []string{
		"events", "events/stream", "events/cloudevent", "events/policy", "deploy", "internal/cache", "internal/daemon",
		"internal/oncall/exit", "internal/oncall/progress", "internal/policyfeed",
	}, libs: []string{goRedis}},
	{pkg: "internal/oncall/retention", ours: []string{"events", "events/policy", "consumers/policy", "internal/cache", "internal/oncall/output"}},
	{pkg: "internal/oncall/...", ours: []string{
		"events", "events/stream", "events/cekafka", "events/cekafka/cesql", "events/cloudevent", "events/policy", "events/snapshot", "schemas", "deploy", "consumers", "guard",
		"internal/cache", "internal/daemon", "internal/daemon/settings", "internal/synthetic", "internal/policyfeed",
	}},
	{pkg: "cmd/...", ours: []string{"..."}, libs: []string{goRedis}},
}

// forTests are packages that only tests and development import. They may use what production must not, and production
// must not use them.
var forTests = []string{
	"internal/embedded/...", "internal/kafkaproxy/...", "internal/bench/...", "internal/endtoend/...", "internal/importrule",
	"internal/readme",
}

// development are the programs that may link packages for tests in.
var development = []string{"cmd/consent-dev/..."}

// never are the modules that no production package may link in, however indirectly.
var never = []string{
	"github.com/twmb/franz-go", "github.com/alicebob/miniredis", "github.com/yuin/gopher-lua",
	"github.com/stretchr/testify", "pgregory.net/rapid", "go.uber.org/goleak", "testing",
}

// isForTests reports whether a package of ours serves tests: by the list, or by a name such as guardtest or
// internal/testenv.
func isForTests(pkg string) bool {
	return matchesAny(pkg, forTests) || strings.HasSuffix(path.Base(pkg), "test") || strings.HasPrefix(pkg, "internal/test")
}

// placeOf returns where a package stands, or nil when the table does not say.
func placeOf(pkg string) *place {
	for i := range table {
		if matches(pkg, table[i].pkg) {
			return &table[i]
		}
	}
	return nil
}

// mayImport reports whether a package that stands here may import another one of ours.
func (p *place) mayImport(to string) bool {
	if strings.HasSuffix(p.pkg, "/...") && matches(to, p.pkg) {
		return true // inside one tree
	}
	for _, ours := range p.ours {
		if matches(to, ours) || isInternalOf(to, ours) {
			return true
		}
	}
	return false
}

// isInternalOf reports whether pkg is one of the internal packages that ours names, such as consumers/internal/slots.
func isInternalOf(pkg, ours string) bool {
	return path.Base(ours) == "internal" && strings.HasPrefix(pkg, ours+"/")
}

func matchesAny(pkg string, patterns []string) bool {
	for _, p := range patterns {
		if matches(pkg, p) {
			return true
		}
	}
	return false
}

// matches reports whether a package matches a pattern: its path, a path with "*" for one element, "…/..." for a tree, or
// "..." for everything.
func matches(pkg, pattern string) bool {
	if root, ok := strings.CutSuffix(pattern, "..."); ok {
		root = strings.TrimSuffix(root, "/")
		return root == "" || pkg == root || strings.HasPrefix(pkg, root+"/")
	}
	ok, err := path.Match(pattern, pkg)
	return err == nil && ok
}

// under reports whether a package belongs to a module or is one of its packages, whatever its major version.
func under(pkg, root string) bool { return pkg == root || strings.HasPrefix(pkg, root+"/") }
