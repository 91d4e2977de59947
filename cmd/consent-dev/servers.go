package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"syscall"
	"time"

	"github.com/kelisim/kelisim/internal/embedded"
)

// portsTried is how many ports after the usual one are tried when it is taken:
// a second and a third environment on one machine, and then something is wrong.
const portsTried = 20

// servers are the Kafka and the Redis of this environment: embedded ones, or
// real ones that somebody pointed us at.
type servers struct {
	kafka, redis string // addresses
	ownKafka     *embedded.Kafka
	ownRedis     *embedded.Redis
}

// startServers starts what was not named, and makes sure that somebody answers
// where it was. The caller closes them.
func startServers(ctx context.Context, o options) (*servers, error) {
	s := &servers{kafka: o.kafka, redis: o.redis}
	if err := errors.Join(reach(ctx, "--kafka", o.kafka), reach(ctx, "--redis", o.redis)); err != nil {
		return nil, err
	}
	if s.kafka == "" {
		err := onFreePort(o.kafkaPort, func(addr string) (err error) {
			s.ownKafka, err = embedded.StartKafka(embedded.KafkaConfig{Addr: addr, DataDir: o.data})
			return err
		})
		if err != nil {
			return nil, err
		}
		s.kafka = s.ownKafka.Addrs()[0]
	}
	if s.redis == "" {
		err := onFreePort(o.redisPort, func(addr string) (err error) {
			s.ownRedis, err = embedded.StartRedis(addr)
			return err
		})
		if err != nil {
			s.close()
			return nil, err
		}
		s.redis = s.ownRedis.Addr()
	}
	return s, nil
}

// reachTimeout bounds the wait for a server that somebody named: a person waits.
const reachTimeout = 3 * time.Second

// reach says that nobody listens, in plainer words than a client library would.
func reach(ctx context.Context, flag, addr string) error {
	if addr == "" {
		return nil
	}
	conn, err := (&net.Dialer{Timeout: reachTimeout}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return fmt.Errorf("%s %s: %w", flag, addr, err)
	}
	return conn.Close()
}

// close stops what we started; what is in memory is gone.
func (s *servers) close() {
	if s.ownRedis != nil {
		s.ownRedis.Close()
	}
	if s.ownKafka != nil {
		s.ownKafka.Close()
	}
}

// onFreePort starts a server on the first loopback port from the given one on
// that is not taken; 0 is any.
func onFreePort(port int, start func(addr string) error) error {
	for next := port; ; next++ {
		err := start(net.JoinHostPort("127.0.0.1", strconv.Itoa(next)))
		if err == nil || !errors.Is(err, syscall.EADDRINUSE) {
			return err
		}
		if next == port+portsTried {
			return fmt.Errorf("ports %d to %d are all taken: %w", port, next, err)
		}
	}
}
