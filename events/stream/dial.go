package stream

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"time"

	"github.com/segmentio/kafka-go"
)

const (
	// keepAlive finds a peer that vanished without a word (a firewall that
	// forgot the connection) while nothing is being sent.
	keepAlive = 15 * time.Second
	// idleTimeout closes an unused connection before the broker does after ten
	// minutes (connections.max.idle.ms), so that no request meets a closed one;
	// with kafka-go's own 30 s every lone publish would dial again.
	idleTimeout = 8 * time.Minute
	// metadataTTL is how old the routing of a transport may be. After a leader
	// has moved a request finds it at the latest then: kafka-go does not refresh
	// on NOT_LEADER (kafka-go#1221, #1413). Measured: with 250 ms a move was over
	// in 0.1 to 0.3 s, with the default of 6 s in 1.3 to 5.4 s.
	metadataTTL = 250 * time.Millisecond
)

// transport makes a connection pool of its own: pools that are shared keep the
// stale connections of others. The routing of the named topics is kept, or of
// all topics when none is named. Whoever makes one calls CloseIdleConnections on
// it at the end, or its goroutines stay (kafka-go#1358).
func (c Config) transport(topics ...string) (*transport, error) {
	conn, err := newConnector(c)
	if err != nil {
		return nil, err
	}
	s := newSilence()
	return &transport{silence: s, Transport: &kafka.Transport{
		Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
			ready, err := conn.DialContext(ctx, network, addr)
			if err != nil {
				return nil, err
			}
			return s.watch(ready, addr), nil
		},
		DialTimeout:    conn.timeout + time.Second, // ours ends first and says why
		IdleTimeout:    idleTimeout,
		MetadataTTL:    metadataTTL,
		MetadataTopics: topics,
		ClientID:       c.clientID(),
	}}, nil
}

// dialer makes what kafka-go's group membership dials with; the same security
// as transport.
func (c Config) dialer() (*kafka.Dialer, error) {
	conn, err := newConnector(c)
	if err != nil {
		return nil, err
	}
	return &kafka.Dialer{
		ClientID: c.clientID(),
		Timeout:  conn.timeout + time.Second, // ours ends first and says why
		DialFunc: conn.DialContext,
	}, nil
}

// connector opens connections that are ready for use: encrypted and
// authenticated as configured. kafka-go gets it as its dial function and adds
// neither.
type connector struct {
	dial     func(ctx context.Context, network, addr string) (net.Conn, error)
	tls      *tls.Config // nil when off
	sasl     SASLConfig
	clientID string
	timeout  time.Duration
}

// newConnector checks the configuration and reads its files; it opens no
// connection.
func newConnector(c Config) (*connector, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	conf, err := c.TLS.build()
	if err != nil {
		return nil, fmt.Errorf("stream: tls: %w", err)
	}
	if c.SASL.Mechanism != "" {
		if _, err := c.SASL.build(); err != nil {
			return nil, fmt.Errorf("stream: sasl: %w", err)
		}
	}
	if c.SASL.Mechanism == MechanismPlain && conf == nil {
		c.logger().Warn("kafka: SASL PLAIN without TLS sends the password in clear text")
	}
	d := &connector{dial: c.Dial, tls: conf, sasl: c.SASL, clientID: c.clientID(), timeout: c.dialTimeout()}
	if d.dial == nil {
		d.dial = (&net.Dialer{KeepAlive: keepAlive}).DialContext
	}
	return d, nil
}

// DialContext connects to a broker. The error names the broker and, where it is
// the cause, the mechanism and user; it wraps ErrAuthentication when the broker
// refused them.
func (d *connector) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	conn, err := d.dial(ctx, network, addr)
	if err != nil {
		return nil, fmt.Errorf("broker %s: %w", addr, err)
	}
	ready, err := d.secure(ctx, conn, addr)
	if err != nil {
		_ = conn.Close() // the cause is err
		return nil, fmt.Errorf("broker %s: %w", addr, err)
	}
	return ready, nil
}

// secure runs TLS and SASL within the time that ctx has left.
func (d *connector) secure(ctx context.Context, conn net.Conn, addr string) (net.Conn, error) {
	if d.tls == nil && d.sasl.Mechanism == "" {
		return conn, nil
	}
	raw := conn
	stop := context.AfterFunc(ctx, func() { _ = raw.SetDeadline(time.Unix(1, 0)) }) // interrupts reads and writes
	defer stop()
	if d.tls != nil {
		var err error
		if conn, err = handshakeTLS(ctx, conn, d.tls, addr); err != nil {
			return nil, err
		}
	}
	if d.sasl.Mechanism != "" {
		if err := d.sasl.authenticate(ctx, conn, d.clientID); err != nil {
			return nil, fmt.Errorf("%v: %w", d.sasl, err)
		}
	}
	if !stop() {
		return nil, context.Cause(ctx)
	}
	return conn, nil
}

func handshakeTLS(ctx context.Context, conn net.Conn, conf *tls.Config, addr string) (net.Conn, error) {
	if conf.ServerName == "" {
		host, _, err := net.SplitHostPort(addr)
		if err != nil {
			return nil, err
		}
		conf = conf.Clone()
		conf.ServerName = host
	}
	secured := tls.Client(conn, conf)
	if err := secured.HandshakeContext(ctx); err != nil {
		return nil, fmt.Errorf("tls: %w", err)
	}
	return secured, nil
}
