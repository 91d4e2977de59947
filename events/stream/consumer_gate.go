package stream

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/segmentio/kafka-go"
)

const (
	// gateAddress is the one broker that kafka-go's group membership is told of. Dialling it goes through
	// the gate, which picks a real one.
	gateAddress = "group-coordinator.invalid:0"
	// gatePoll is how often a coordinator that is not ready is asked again.
	gatePoll = 50 * time.Millisecond
	// gateTimeout bounds the wait, after which kafka-go gives up its member id and begins as a new member.
	gateTimeout = time.Minute
)

// gate lets kafka-go's group membership connect only when the group's coordinator is there and has loaded
// the group.
//
// Without it a restart of the coordinator costs a whole session timeout: kafka-go meets a refused
// connection or "coordinator load in progress", forgets its member id and comes back as a new member,
// while the group waits for the old one to die.
type gate struct {
	run    context.Context // of the consumer: at its end nothing is waited for any more
	group  string
	links  *links
	base   *kafka.Dialer
	broker []string
}

func newGate(run context.Context, conf Config, group string, links *links) (*gate, error) {
	base, err := conf.dialer()
	if err != nil {
		return nil, err
	}
	return &gate{run: run, group: group, links: links, base: base, broker: conf.Brokers}, nil
}

// dialer gives kafka-go the gate in place of a plain dialer.
func (g *gate) dialer() *kafka.Dialer {
	d := *g.base
	d.DialFunc = g.dial
	d.Timeout = gateTimeout
	return &d
}

// dial connects to a broker: for the gate's own address to any that answers, once the coordinator is
// ready; for another address, which is that of the coordinator, to it.
func (g *gate) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	if addr != gateAddress {
		return g.base.DialFunc(ctx, network, addr)
	}
	for g.run.Err() == nil && !g.ready(ctx) {
		if !g.pause(ctx) {
			break
		}
	}
	var failed error
	for _, b := range g.broker {
		conn, err := g.base.DialFunc(ctx, network, b)
		if err == nil {
			return conn, nil
		}
		failed = err
	}
	return nil, fmt.Errorf("group %s: %w", g.group, failed)
}

// ready asks the coordinator something that it can only answer once it has loaded the group. Only what
// time will cure counts as not ready: other errors are kafka-go's to report when it joins.
func (g *gate) ready(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, replyTimeout)
	defer cancel()
	defer context.AfterFunc(g.run, cancel)()
	res, err := g.links.client().OffsetFetch(ctx, &kafka.OffsetFetchRequest{
		GroupID: g.group, Topics: map[string][]int{g.links.topic: {0}},
	})
	if err != nil {
		return false
	}
	for _, list := range res.Topics {
		for _, p := range list {
			err = errors.Join(err, p.Error)
		}
	}
	err = errors.Join(err, res.Error)
	return !errors.Is(err, kafka.GroupLoadInProgress) &&
		!errors.Is(err, kafka.GroupCoordinatorNotAvailable) &&
		!errors.Is(err, kafka.NotCoordinatorForGroup)
}

// pause waits a moment unless the dial or the consumer has ended.
func (g *gate) pause(ctx context.Context) bool {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(g.run, cancel)()
	return pause(ctx, gatePoll)
}
