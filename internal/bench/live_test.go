package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/segmentio/kafka-go"
	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/consumers/marketing"
	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/cloudevent"
	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/guard"
	"github.com/kelisim/kelisim/internal/daemon"
	"github.com/kelisim/kelisim/internal/testenv"
	"github.com/kelisim/kelisim/internal/testservice"
	"github.com/kelisim/kelisim/schemas"
)

// liveFor is how long each rate runs.
const liveFor = 10 * time.Second

const (
	// probesPerSecond is how many published events are watched until the guard denies:
	// in ten seconds enough for a p99.9, and few enough that asking is not the load.
	probesPerSecond = 100
	// askEvery is the pause between two questions. Without one they took a third of
	// this process's time; what is measured is longer by half of it.
	askEvery = 50 * time.Microsecond
	// warmUp is how long events flow before any are measured: a broker that has just
	// started is busy compiling itself.
	warmUp = 5 * time.Second
)

// BenchmarkLive publishes withdrawals at fixed rates and measures how long after
// the acknowledgement the guard denies, beside the loop that a team would write.
func BenchmarkLive(b *testing.B) {
	daemon.TuneCollector()
	broker := testenv.Kafka(b)
	server := testenv.Redis(b)
	rules := events.SeedRules()
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Printf("\nacknowledged to denied, ms, real servers: %v\n", testenv.Real())
	_, _ = fmt.Fprintln(w, "\trate/s\tp50\tp90\tp99\tp99.9\tack p50\tack p99\tCPU us/event\t")
	server.Flush(b)
	warm := &live{b: b, rules: rules, rate: 3000, lasts: warmUp, who: "kelisim marketing", broker: broker, redis: server}
	warm.run()
	for _, rate := range []int{200, 1000, 3000} {
		for _, who := range []string{"kelisim marketing", "team's loop"} {
			if !chosen(fmt.Sprintf("%s %d", who, rate)) {
				continue
			}
			server.Flush(b)
			l := &live{b: b, rules: rules, rate: rate, lasts: liveFor, who: who, broker: broker, redis: server}
			l.run()
			_, _ = fmt.Fprintf(w, "%s\t%d\t%s\t%s\t%s\t%s\t%s\t%s\t%.0f\t\n", who, rate,
				at(l.seen, 0.5), at(l.seen, 0.9), at(l.seen, 0.99), at(l.seen, 0.999), at(l.acks, 0.5), at(l.acks, 0.99), l.cpu)
		}
	}
	_ = w.Flush()
}

// at returns a quantile in milliseconds.
func at(v []time.Duration, q float64) string {
	if len(v) == 0 {
		return "-"
	}
	slices.Sort(v)
	return strconv.FormatFloat(float64(v[int(q*float64(len(v)-1))].Microseconds())/1000, 'f', 2, 64)
}

// live is one run at one rate.
type live struct {
	b      *testing.B
	rules  *events.Rules
	rate   int
	lasts  time.Duration
	who    string
	broker *testenv.Broker
	redis  *testenv.RedisServer

	mu   sync.Mutex
	acks []time.Duration // published to acknowledged
	seen []time.Duration // acknowledged to denied
	cpu  float64
}

func (l *live) run() {
	b := l.b
	topics := testservice.NewTopics(b, l.broker, partitions)
	topic := topics.Events
	c := redis.NewUniversalClient(&redis.UniversalOptions{Addrs: []string{l.redis.Addr()}, DisableIdentity: true})
	defer func() { _ = c.Close() }()
	denied := l.team(topic, c)
	if l.who == "kelisim marketing" {
		e := testservice.Start(b, testservice.Config{
			Service: marketing.Service(must(marketing.New(c, l.rules, nil))), Kafka: l.broker.Addr(), Redis: c, Topics: topics,
		})
		defer e.Stop(b)
		g := guard.New(c, "marketing")
		denied = func(s events.Subject, _ stream.Ack) bool {
			d := g.Check(context.Background(), s, "promotion")
			return !d.Allowed && d.Reason == events.ByWithdrawal
		}
	}
	l.publish(topic, denied)
}

// team starts the loop that a team would write and returns how to see that it
// has applied an event. It ends with the bench.
func (l *live) team(topic string, c redis.UniversalClient) func(events.Subject, stream.Ack) bool {
	if l.who != "team's loop" {
		return nil
	}
	plain := client(l.b, l.redis.Addr())
	r := kafka.NewReader(kafka.ReaderConfig{Brokers: []string{l.broker.Addr()}, Topic: topic, GroupID: topic, StartOffset: kafka.FirstOffset})
	ctx, cancel := context.WithCancel(context.Background())
	var ended sync.WaitGroup
	ended.Go(func() {
		for {
			m, err := r.FetchMessage(ctx)
			if errors.Is(err, context.Canceled) {
				return
			}
			if err == nil {
				_ = teamStep(ctx, r, plain, m)
			}
		}
	})
	l.b.Cleanup(func() { cancel(); ended.Wait(); _ = r.Close() })
	return func(s events.Subject, ack stream.Ack) bool {
		v, err := c.HGet(context.Background(), "team:"+s.Reveal(), "v").Int64()
		return err == nil && v >= ack.Offset
	}
}

// publish sends events at the rate, each by its own clock tick (open loop), and
// watches every tenth until it is denied.
func (l *live) publish(topic string, denied func(events.Subject, stream.Ack) bool) {
	b := l.b
	producer, err := stream.NewProducer(stream.ProducerConfig{Config: stream.Config{Brokers: []string{l.broker.Addr()}}})
	require.NoError(b, err)
	defer func() { _ = producer.Close(context.Background()) }()
	promo, err := l.rules.Set("promotion")
	require.NoError(b, err)
	probeEvery := max(1, l.rate/probesPerSecond)
	send := func(i int, timed bool) {
		s, _ := events.ParseSubject(subjectName(i))
		e := events.Event{Method: events.ByPerson, ID: topic + strconv.Itoa(i), Source: "/bench/web", Type: events.Withdrawn, Subject: s,
			Purposes: promo, Decided: events.MillisOf(time.Now()), Data: []byte(`{"channel":"web"}`)}
		m, err := cloudevent.Encoder{Rules: l.rules, Data: schemas.Data}.Encode(&e)
		require.NoError(b, err)
		m.Topic = topic
		sent := time.Now()
		ack, err := producer.Publish(context.Background(), m)
		require.NoError(b, err)
		acked := time.Now()
		if !timed {
			return
		}
		if i%probeEvery == 0 {
			for !denied(s, ack) && time.Since(acked) < 5*time.Second {
				time.Sleep(askEvery) // what is measured is asked for so often
			}
		}
		took := time.Since(acked)
		l.mu.Lock()
		defer l.mu.Unlock()
		l.acks = append(l.acks, acked.Sub(sent))
		if i%probeEvery == 0 {
			l.seen = append(l.seen, took)
		}
	}
	for i := range 200 { // connections, group, first rebalance
		send(1_000_000_000+i, false)
	}
	warm, _ := events.ParseSubject(subjectName(1_000_000_000))
	require.Eventually(b, func() bool { return denied(warm, stream.Ack{}) }, time.Minute, 10*time.Millisecond)

	cpu, began := cpuTime(), time.Now()
	var group sync.WaitGroup
	n := int(l.lasts.Seconds()) * l.rate
	for i := range n {
		due := began.Add(time.Duration(i) * time.Second / time.Duration(l.rate))
		if wait := time.Until(due); wait > 0 {
			time.Sleep(wait) // the rate that is measured
		}
		group.Go(func() { send(i, true) })
	}
	group.Wait()
	l.cpu = float64((cpuTime() - cpu).Microseconds()) / float64(n)
}
