package stream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/saslauthenticate"
	"github.com/segmentio/kafka-go/protocol/saslhandshake"
	"github.com/segmentio/kafka-go/sasl"
	"github.com/segmentio/kafka-go/sasl/plain"
	"github.com/segmentio/kafka-go/sasl/scram"
)

// The mechanisms that SASLConfig.Mechanism may name.
const (
	MechanismPlain       = "PLAIN"
	MechanismScramSHA256 = "SCRAM-SHA-256"
	MechanismScramSHA512 = "SCRAM-SHA-512"
)

// The versions of the two authentication requests. Kafka 1.0 to 4.x know them
// (protocol guide, "SASL Authentication Sequence"), so nothing is negotiated.
const (
	saslHandshakeVersion    = 1
	saslAuthenticateVersion = 1
)

// ErrAuthentication is wrapped when a broker did not let this client in: wrong
// name, wrong password, or a mechanism it does not offer. Trying again does not
// help until somebody changes a password or a configuration.
var ErrAuthentication = errors.New("authentication refused")

// SASLConfig says as whom this client authenticates. The zero value means that
// it does not.
type SASLConfig struct {
	// Mechanism is PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512; empty means none.
	Mechanism string
	// Username is the account's name.
	Username string
	// Password is the account's password; or PasswordFile names a file that
	// holds it (a trailing line end is dropped). Exactly one of the two. The
	// file is read at every connection, so a changed password is used without a
	// restart.
	Password, PasswordFile string
}

func (c SASLConfig) check() error {
	switch c.Mechanism {
	case "":
		if c != (SASLConfig{}) {
			return errors.New("a user or a password is set, but no mechanism")
		}
		return nil
	case MechanismPlain, MechanismScramSHA256, MechanismScramSHA512:
	default:
		return fmt.Errorf("mechanism %q: want %s, %s or %s",
			c.Mechanism, MechanismPlain, MechanismScramSHA256, MechanismScramSHA512)
	}
	if c.Username == "" {
		return errors.New("no user name")
	}
	if (c.Password == "") == (c.PasswordFile == "") {
		return errors.New("want either a password or a password file")
	}
	return nil
}

// LogValue implements [slog.LogValuer]: everything but the password.
func (c SASLConfig) LogValue() slog.Value {
	return slog.GroupValue(slog.String("mechanism", c.Mechanism), slog.String("username", c.Username))
}

// String says the mechanism and the user, never the password.
func (c SASLConfig) String() string {
	if c.Mechanism == "" {
		return "no SASL"
	}
	return fmt.Sprintf("SASL %s as %q", c.Mechanism, c.Username)
}

// GoString keeps the password out of %#v.
func (c SASLConfig) GoString() string { return c.String() }

// build makes the client's side of the conversation with the password of now.
func (c SASLConfig) build() (sasl.Mechanism, error) {
	password := c.Password
	if c.PasswordFile != "" {
		text, err := os.ReadFile(c.PasswordFile)
		if err != nil {
			return nil, fmt.Errorf("password file: %w", err)
		}
		if password = strings.TrimRight(string(text), "\r\n"); password == "" {
			return nil, fmt.Errorf("password file %s: empty", c.PasswordFile)
		}
	}
	switch c.Mechanism {
	case MechanismScramSHA256:
		return scram.Mechanism(scram.SHA256, c.Username, password)
	case MechanismScramSHA512:
		return scram.Mechanism(scram.SHA512, c.Username, password)
	default:
		return plain.Mechanism{Username: c.Username, Password: password}, nil
	}
}

// authenticate holds the conversation on a fresh connection. kafka-go could do
// it, but says only "unexpected EOF" when the broker hangs up on a wrong
// password; every error from here wraps ErrAuthentication or is of the network.
func (c SASLConfig) authenticate(ctx context.Context, conn net.Conn, clientID string) error {
	mechanism, err := c.build()
	if err != nil {
		return err
	}
	pc := protocol.NewConn(conn, clientID)
	pc.SetVersions(map[protocol.ApiKey]int16{
		protocol.SaslHandshake:    saslHandshakeVersion,
		protocol.SaslAuthenticate: saslAuthenticateVersion,
	})
	if err := saslHandshake(pc, mechanism.Name()); err != nil {
		return err
	}
	session, say, err := mechanism.Start(ctx)
	if err != nil {
		return err
	}
	for done := false; !done; {
		heard, err := saslStep(pc, say)
		if err != nil {
			return err
		}
		if done, say, err = session.Next(ctx, heard); err != nil {
			return fmt.Errorf("%w: %w", ErrAuthentication, err)
		}
	}
	return nil
}

func saslHandshake(pc *protocol.Conn, mechanism string) error {
	m, err := pc.RoundTrip(&saslhandshake.Request{Mechanism: mechanism})
	if err != nil {
		return fmt.Errorf("handshake: %w", err)
	}
	if res := m.(*saslhandshake.Response); res.ErrorCode != 0 {
		return fmt.Errorf("%w: %w (the broker offers %s)",
			ErrAuthentication, kafka.Error(res.ErrorCode), strings.Join(res.Mechanisms, ", "))
	}
	return nil
}

func saslStep(pc *protocol.Conn, say []byte) ([]byte, error) {
	m, err := pc.RoundTrip(&saslauthenticate.Request{AuthBytes: say})
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		// Some brokers say no by hanging up.
		return nil, fmt.Errorf("%w: the broker closed the connection", ErrAuthentication)
	}
	if err != nil {
		return nil, fmt.Errorf("authenticate: %w", err)
	}
	res := m.(*saslauthenticate.Response)
	if res.ErrorCode != 0 {
		return nil, fmt.Errorf("%w: %w: %s", ErrAuthentication, kafka.Error(res.ErrorCode), res.ErrorMessage)
	}
	return res.AuthBytes, nil
}
