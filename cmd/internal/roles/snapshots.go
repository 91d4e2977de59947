package roles

import (
	"context"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"github.com/kelisim/kelisim/consumers"
	"github.com/kelisim/kelisim/consumers/snapshots"
	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/events/stream/recordbatch"
)

// snapshotsService writes a topic, for which it needs a client of its own.
func snapshotsService(p *Platform, _ *events.Rules, client redis.UniversalClient) (consumers.Service, error) {
	fencer, err := stream.NewFencer(stream.ProducerConfig{Config: p.kafka, Compression: recordbatch.LZ4})
	if err != nil {
		return consumers.Service{}, fmt.Errorf("kafka: %w", err)
	}
	action, err := snapshots.New(snapshots.Config{
		Topic: p.Config.Topics.State, Generation: uint32(p.Config.Topics.Generation), Redis: client, Fencer: fencer,
		Report: snapshotMetrics(p.Registry), Logger: p.Logger,
	})
	if err != nil {
		fencer.Close()
		return consumers.Service{}, err
	}
	p.finally = append(p.finally, func(ctx context.Context) error {
		defer fencer.Close()
		return action.Close(ctx)
	})
	return snapshots.Service(action), nil
}

// snapshotMetrics counts what is written to the state topic.
func snapshotMetrics(registry prometheus.Registerer) func(snapshots.Written) {
	count := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "consent_snapshots_total",
		Help: "Written to the state topic: states, checkpoints; turns left alone because a newer one was written (late); times a partition was taken over (seats).",
	}, []string{"what"})
	registry.MustRegister(count)
	states, late := count.WithLabelValues("state"), count.WithLabelValues("late")
	checkpoints, seats := count.WithLabelValues("checkpoint"), count.WithLabelValues("seat")
	return func(w snapshots.Written) {
		states.Add(float64(w.States))
		late.Add(float64(w.Late))
		checkpoints.Add(float64(w.Checkpoints))
		seats.Add(float64(w.Seats))
	}
}
