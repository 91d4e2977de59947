package stream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/segmentio/kafka-go"
)

const (
	// defaultClientID names a client that was given no name.
	defaultClientID = "kelisim"
	// defaultDialTimeout bounds TCP, TLS and SASL of one connection together. A
	// broker that takes longer is as good as down, and the next one is tried.
	defaultDialTimeout = 3 * time.Second
)

// Config is what every client of the log needs to know: how to reach the
// cluster and as whom.
type Config struct {
	// Brokers are the addresses, host:port, that the cluster is found through.
	// At least one; the rest of the cluster is learned from them.
	Brokers []string
	// ClientID names this program in the broker's logs and quotas. Empty means
	// "kelisim".
	ClientID string
	// TLS and SASL secure the connections. Their zero values mean neither.
	TLS  TLSConfig
	SASL SASLConfig
	// Dial opens the TCP connection below TLS and SASL. Nil means a net.Dialer;
	// tests and proxies put their own here.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	// DialTimeout bounds one connection attempt, TLS and SASL included; 3 s when
	// zero.
	DialTimeout time.Duration
	// MaxUnpackedBytes bounds what one packed batch may become in memory when it is
	// read, and about what an answer may; 64 MiB when zero. A consumer stands still in
	// front of a larger one.
	MaxUnpackedBytes int
	// Logger is told of everything that a person on call would want to know.
	// Nil means silence.
	Logger *slog.Logger
}

// Validate says what is wrong with the configuration, reading the files it
// names. It opens no connection.
func (c Config) Validate() error {
	_, err := newConnector(c)
	return err
}

// check returns the first thing that is wrong without touching a file.
func (c Config) check() error {
	if len(c.Brokers) == 0 {
		return errors.New("stream: no brokers configured")
	}
	for _, b := range c.Brokers {
		if _, _, err := net.SplitHostPort(b); err != nil {
			return fmt.Errorf("stream: broker %q: %w", b, err)
		}
	}
	if err := c.TLS.check(); err != nil {
		return fmt.Errorf("stream: tls: %w", err)
	}
	if err := c.SASL.check(); err != nil {
		return fmt.Errorf("stream: sasl: %w", err)
	}
	return nil
}

// address gives the brokers in the form that kafka-go's Client and Transport take.
func (c Config) address() net.Addr { return kafka.TCP(c.Brokers...) }

// clientID gives the configured or the default name.
func (c Config) clientID() string {
	if c.ClientID == "" {
		return defaultClientID
	}
	return c.ClientID
}

// dialTimeout gives the configured or the default timeout.
func (c Config) dialTimeout() time.Duration {
	if c.DialTimeout > 0 {
		return c.DialTimeout
	}
	return defaultDialTimeout
}

// logger gives a logger that can always be called.
func (c Config) logger() *slog.Logger {
	if c.Logger == nil {
		return slog.New(slog.DiscardHandler)
	}
	return c.Logger
}
