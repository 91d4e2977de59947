package stream

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/segmentio/kafka-go"
)

const (
	// defaultDialTimeout bounds one connection attempt, TLS and SASL included. A broker that does not
	// answer in this time is as good as down, and the next one is tried.
	defaultDialTimeout = 3 * time.Second
	// metadataTTL is how old the routing may be. After a leader has moved a request finds it at the latest
	// then: kafka-go does not refresh on NOT_LEADER (kafka-go#1221, #1413); with 250 ms a move was over in
	// 0.1 to 0.3 s, with the default of 6 s in 1.3 to 5.4 s.
	metadataTTL = 250 * time.Millisecond
	// idleTimeout closes connections that nothing used for this long; kafka-go's own default.
	idleTimeout = 30 * time.Second
)

// Config is what every client of the log needs to know.
type Config struct {
	// Brokers are host:port addresses to begin with; at least one.
	Brokers []string
	// ClientID names the program in the broker's logs and quotas.
	ClientID string
	// TLS and SASL secure the connections; their zero values are plain text and no authentication.
	TLS  TLSConfig
	SASL SASLConfig
	// DialTimeout bounds one connection attempt; 3 s when zero.
	DialTimeout time.Duration
	// Logger receives what happens to connections and groups; nothing is logged when nil.
	Logger *slog.Logger
}

// TLSConfig secures connections with TLS 1.2 or later. The zero value is plain text.
type TLSConfig struct {
	// Enabled turns TLS on.
	Enabled bool
}

// SASLConfig authenticates connections. The zero value is no authentication.
type SASLConfig struct {
	// Mechanism is PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512; empty for none.
	Mechanism string
}

// logger gives a logger that can always be called.
func (c Config) logger() *slog.Logger {
	if c.Logger == nil {
		return slog.New(slog.DiscardHandler)
	}
	return c.Logger
}

// address gives the brokers in the form that kafka-go's Client and Transport take.
func (c Config) address() net.Addr { return kafka.TCP(c.Brokers...) }

// check refuses a configuration without brokers.
func (c Config) check() error {
	if len(c.Brokers) == 0 {
		return errors.New("stream: no brokers configured")
	}
	for _, b := range c.Brokers {
		if _, _, err := net.SplitHostPort(b); err != nil {
			return fmt.Errorf("stream: broker %q: %w", b, err)
		}
	}
	return nil
}

// dialTimeout gives the configured or the default timeout.
func (c Config) dialTimeout() time.Duration {
	if c.DialTimeout > 0 {
		return c.DialTimeout
	}
	return defaultDialTimeout
}

// transport makes a connection pool of its own: pools that are shared keep the stale connections of
// others. The metadata of the named topics is kept, or of all topics when none is named. Whoever makes
// one calls CloseIdleConnections on it at the end, or its goroutines stay (kafka-go#1358).
func (c Config) transport(topics ...string) (*kafka.Transport, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	return &kafka.Transport{
		Dial:           (&net.Dialer{Timeout: c.dialTimeout()}).DialContext,
		DialTimeout:    c.dialTimeout(),
		IdleTimeout:    idleTimeout,
		MetadataTTL:    metadataTTL,
		MetadataTopics: topics,
		ClientID:       c.ClientID,
	}, nil
}

// dialer makes what kafka-go's group membership dials with; the same security as transport.
func (c Config) dialer() (*kafka.Dialer, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	return &kafka.Dialer{ClientID: c.ClientID, Timeout: c.dialTimeout()}, nil
}
