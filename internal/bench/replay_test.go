package bench

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/kelisim/kelisim/consumers"
	"github.com/kelisim/kelisim/consumers/marketing"
	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/internal/daemon"
	"github.com/kelisim/kelisim/internal/testenv"
	"github.com/kelisim/kelisim/internal/testservice"
)

// buckets per partition: sixteen to thirty-two subjects of a million in each.
const buckets = 4096

// idle is an action that does nothing, so that a bench can tell the engine from
// what a service adds.
type idle struct{}

func (idle) Act(context.Context, consumers.Slot, []consumers.Turn) error { return nil }

// rounds is how often every row is measured; medians are printed.
const rounds = 3

// BenchmarkReplay reads a whole topic into an empty Redis, beside the loop that
// a team would write, a tuned franz-go consumer, and the limits of Redis and of
// fetching alone.
func BenchmarkReplay(b *testing.B) {
	daemon.TuneCollector() // for the peers too
	for _, repeat := range []int{1, 10} {
		b.Run(fmt.Sprintf("each subject %d times", repeat), func(b *testing.B) {
			replay(b, repeat)
		})
	}
}

// record publishes a history of n events and returns whom each is about. The events
// are let go: no consumer's collector has a whole log to mark.
func record(b *testing.B, broker *testenv.Broker, rules *events.Rules, topic string, n, repeat int) []int {
	all := history(b, rules, n, repeat)
	fill(b, broker, rules, topic, all)
	subjects := make([]int, n)
	for i := range all {
		_, _ = fmt.Sscanf(all[i].Subject.Reveal(), "subject-%d", &subjects[i])
	}
	return subjects
}

func replay(b *testing.B, repeat int) {
	rules := events.SeedRules()
	n := size(b)
	broker := testenv.Kafka(b)
	topics := testservice.NewTopics(b, broker, partitions)
	topic := topics.Events
	subjects := record(b, broker, rules, topic, n, repeat)
	few := min(n, 20_000) // of the slow loop: its rate does not depend on how long it runs

	r := &report{n: n}
	for round := range rounds {
		group := fmt.Sprintf("%s-%d", topic, round)
		server := testenv.Redis(b)
		addr := server.Addr()
		c := redis.NewUniversalClient(&redis.UniversalOptions{Addrs: []string{addr}, DisableIdentity: true})
		r.measure("limit: Redis, batched script alone", n, server, b, func() { limitRedis(b, addr, subjects) })
		r.measure("limit: fetch and walk alone", n, nil, b, func() { limitFetch(b, broker.Addr(), topic, n) })
		r.measure("franz-go, tuned, one write per event", n, server, b, func() { franz(b, broker.Addr(), addr, topic, group+"-franz", n) })
		r.measure("the loop a team would write", few, server, b, func() { teamLoop(b, broker.Addr(), addr, topic, group+"-team", few) })
		for name, service := range map[string]consumers.Service{
			"kelisim engine":                       {Name: "marketing", Purposes: marketing.Purposes(), Action: idle{}},
			"kelisim marketing, stops carried out": marketing.Service(must(marketing.New(c, rules, nil))),
		} {
			r.service(name, n, server, b, testservice.Config{
				Service: service, Kafka: broker.Addr(), Redis: c, Topics: topics, Buckets: buckets,
				Group: group + strings.ReplaceAll(name, " ", "-"),
			})
		}
		_ = c.Close()
	}
	r.print(repeat)
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
