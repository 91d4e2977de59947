package stream

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/segmentio/kafka-go"
)

const (
	// joinBackoff is the pause after a failed attempt to join. The gate has already waited for a
	// coordinator that answers, so what fails here is over in a moment.
	joinBackoff = 100 * time.Millisecond
	// partitionPoll is how often it is looked whether the topic has more partitions. Their number is never
	// changed in place, so it would be an accident.
	partitionPoll = 5 * time.Second
)

// membership is one Run: the group as kafka-go sees it and what is done in its generations.
type membership struct {
	consumer   *Consumer
	links      *links
	handle     func(context.Context, *Session) error
	group      *kafka.ConsumerGroup
	partitions int
	ended      chan error // a generation's end, with the handler's error if it returned early
}

// join begins membership; kafka-go joins and rejoins in the background.
func (m *membership) join(ctx context.Context) error {
	conf := &m.consumer.conf
	gate, err := newGate(ctx, conf.Config, conf.Group, m.links)
	if err != nil {
		return err
	}
	m.group, err = kafka.NewConsumerGroup(kafka.ConsumerGroupConfig{
		ID:                conf.Group,
		Brokers:           []string{gateAddress},
		Dialer:            gate.dialer(),
		Topics:            []string{conf.Topic},
		SessionTimeout:    conf.SessionTimeout,
		HeartbeatInterval: conf.HeartbeatInterval,
		RebalanceTimeout:  conf.RebalanceTimeout,
		JoinGroupBackoff:  joinBackoff,
		Timeout:           conf.SessionTimeout, // a heartbeat that takes longer is too late anyway
	})
	if err != nil {
		return fmt.Errorf("join group %s: %w", conf.Group, err)
	}
	return nil
}

// run serves generation after generation.
func (m *membership) run(ctx context.Context) error {
	conf := &m.consumer.conf
	for {
		gen, err := m.group.Next(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			conf.logger().Warn("kafka: not in the group", "group", conf.Group, "err", err)
			if conf.Watch.GroupError != nil {
				conf.Watch.GroupError(err)
			}
			continue
		}
		gen.Start(func(ctx2 context.Context) { m.generation(ctx, ctx2, gen) })
		if err := <-m.ended; err != nil || ctx.Err() != nil {
			return err
		}
	}
}

// generation is the function that kafka-go waits for before it joins again. It must not return early
// except to end the generation, or kafka-go would rejoin instead of leaving the group.
func (m *membership) generation(ctx, genCtx context.Context, gen *kafka.Generation) {
	session, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(genCtx, func() { cancel(ErrRebalanced) })()
	err := m.serve(session, cancel, gen)
	m.ended <- err
	if err != nil || ctx.Err() != nil {
		<-genCtx.Done() // Run is closing the group, which leaves it
	}
}

// serve runs one session: fetcher, commits and handler. The error is that of a handler that returned
// before its session had ended.
func (m *membership) serve(ctx context.Context, end context.CancelCauseFunc, gen *kafka.Generation) error {
	c := m.consumer
	log := c.conf.logger().With("group", c.conf.Group, "generation", gen.ID)
	s := &Session{ctx: ctx, topic: c.conf.Topic, committed: map[int32]int64{}}
	for _, p := range gen.Assignments[c.conf.Topic] {
		s.numbers = append(s.numbers, int32(p.ID))
		if p.Offset >= 0 {
			s.committed[int32(p.ID)] = p.Offset
		}
	}
	slices.Sort(s.numbers)
	s.fetcher = newFetcher(c.fetch, m.links, log)
	s.commits = newCommitter(gen, c.conf.Topic, c.conf.CommitInterval, log, c.conf.Watch.Commit)
	for p, offset := range s.committed {
		s.commits.written[int(p)] = offset
	}
	log.Info("kafka: session begins", "topic", c.conf.Topic, "partitions", s.numbers)
	if c.conf.Watch.Rebalance != nil {
		c.conf.Watch.Rebalance(gen.ID, s.Partitions())
	}

	work, stop := context.WithCancel(ctx)
	var group sync.WaitGroup
	group.Go(func() { s.fetcher.run(work) })
	group.Go(func() { m.watchPartitions(work, end) })
	commits, flush := context.WithCancel(context.WithoutCancel(ctx))
	committed := make(chan struct{})
	go func() { defer close(committed); s.commits.run(commits) }()

	returned := make(chan struct{})
	defer context.AfterFunc(ctx, func() { m.awaitHandler(log, returned) })()
	err := m.handle(ctx, s)
	close(returned)
	early := ctx.Err() == nil
	stop()
	group.Wait()
	flush()
	<-committed
	log.Info("kafka: session ended", "topic", c.conf.Topic, "cause", context.Cause(ctx))
	switch {
	case !early:
		return nil
	case err != nil:
		return err
	}
	return ErrHandlerReturned
}

// awaitHandler says so when the handler does not return after the end of its session: the whole group is
// waiting for it, and will soon go on without this member.
func (m *membership) awaitHandler(log *slog.Logger, returned <-chan struct{}) {
	timer := time.NewTimer(m.consumer.conf.RebalanceTimeout / 2)
	defer timer.Stop()
	select {
	case <-returned:
	case <-timer.C:
		log.Error("kafka: handler has not returned after its session ended", "topic", m.consumer.conf.Topic)
	}
}

// watchPartitions ends the session when the topic has another number of partitions than when the group
// was joined: the new ones would stay unread until something else makes the group form anew.
func (m *membership) watchPartitions(ctx context.Context, end context.CancelCauseFunc) {
	log := m.consumer.conf.logger()
	for pause(ctx, partitionPoll) {
		leaders, err := m.links.leaders(ctx, false)
		if err != nil || len(leaders) <= m.partitions {
			continue
		}
		log.Error("kafka: the topic has grown, which moves subjects between partitions",
			"topic", m.consumer.conf.Topic, "from", m.partitions, "to", len(leaders))
		m.partitions = len(leaders)
		end(ErrRebalanced)
		return
	}
}
