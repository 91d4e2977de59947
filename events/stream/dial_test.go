package stream_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/internal/testenv"
)

// accounts are one user per mechanism.
var accounts = []testenv.User{
	{Mechanism: "PLAIN", Name: "gateway", Password: "plain secret"},
	{Mechanism: "SCRAM-SHA-256", Name: "marketing", Password: "first-secret"},
	{Mechanism: "SCRAM-SHA-512", Name: "targeting", Password: "second-secret"},
}

func TestEveryMechanismOpensASecuredKafkaAndAWrongPasswordNone(t *testing.T) {
	b := testenv.Kafka(t, testenv.WithTLS(), testenv.WithUsers(accounts...))
	topic := b.Topic(t, testenv.TopicSpec{Name: "secured", Config: appendTime})
	ca := caFile(t, b)
	for _, account := range accounts {
		t.Run(account.Mechanism, func(t *testing.T) {
			conf := stream.Config{
				Brokers: b.Addrs(),
				TLS:     stream.TLSConfig{Enabled: true, CAFile: ca},
				SASL:    stream.SASLConfig{Mechanism: account.Mechanism, Username: account.Name, Password: account.Password},
			}
			require.NoError(t, publishOnce(t, conf, topic))

			conf.SASL.Password = "wrong-secret"
			start := time.Now()
			err := publishOnce(t, conf, topic)
			require.ErrorIs(t, err, stream.ErrAuthentication)
			require.ErrorIs(t, err, stream.ErrNotSent)
			require.ErrorContains(t, err, b.Addr(), "which broker")
			require.ErrorContains(t, err, "SASL "+account.Mechanism, "which mechanism")
			require.ErrorContains(t, err, account.Name, "which user")
			require.NotContains(t, err.Error(), "secret")
			require.Less(t, time.Since(start), 10*time.Second, "waiting does not help, so nobody waits for the delivery timeout")

			file := filepath.Join(t.TempDir(), "password")
			require.NoError(t, os.WriteFile(file, []byte(account.Password+"\n"), 0o600))
			conf.SASL.Password, conf.SASL.PasswordFile = "", file
			require.NoError(t, publishOnce(t, conf, topic), "password from a file")
		})
	}
}

// TestPasswordThatBecameWrongFailsAtOnceUntilItIsRight changes the password's file under a running producer, whose
// connections are then lost.
func TestPasswordThatBecameWrongFailsAtOnceUntilItIsRight(t *testing.T) {
	testenv.Parallel(t)
	const delivery = 3 * time.Second
	account := accounts[0]
	b := testenv.StartKafka(t, testenv.KafkaConfig{Users: []testenv.User{account}})
	topic := b.Topic(t, testenv.TopicSpec{Name: "secured", Config: appendTime})
	file := filepath.Join(t.TempDir(), "password")
	setPassword := func(password string) { require.NoError(t, os.WriteFile(file, []byte(password), 0o600)) }
	setPassword(account.Password)
	p := producer(t, b, func(c *stream.ProducerConfig) {
		c.SASL = stream.SASLConfig{Mechanism: account.Mechanism, Username: account.Name, PasswordFile: file}
		c.DeliveryTimeout = delivery
	})
	_, err := p.Publish(within(t), message(topic, "s", "0"))
	require.NoError(t, err)

	setPassword("wrong-secret")
	b.Stop(t)
	b.Start(t)
	_, err = p.Publish(within(t), message(topic, "s", "met by a dead connection"))
	require.ErrorIs(t, err, stream.ErrAuthentication)
	start := time.Now()
	_, err = p.Publish(within(t), message(topic, "s", "never left"))
	require.ErrorIs(t, err, stream.ErrNotSent)
	require.ErrorIs(t, err, stream.ErrAuthentication)
	require.Less(t, time.Since(start), delivery, "waiting does not help")

	setPassword(account.Password)
	publishPatiently(t, p, message(topic, "s", "1"))
}

func TestSecuredKafkaIsNotReachedByHalfTheConfiguration(t *testing.T) {
	testenv.Parallel(t)
	b := testenv.Kafka(t, testenv.WithTLS(), testenv.WithUsers(accounts...))
	topic := b.Topic(t, testenv.TopicSpec{Name: "secured", Config: appendTime})
	ca := caFile(t, b)
	sasl := stream.SASLConfig{Mechanism: accounts[0].Mechanism, Username: accounts[0].Name, Password: accounts[0].Password}
	for name, conf := range map[string]stream.Config{
		"no TLS":               {SASL: sasl},
		"no user":              {TLS: stream.TLSConfig{Enabled: true, CAFile: ca}},
		"unknown authority":    {TLS: stream.TLSConfig{Enabled: true}, SASL: sasl},
		"other name":           {TLS: stream.TLSConfig{Enabled: true, CAFile: ca, ServerName: "elsewhere.example"}, SASL: sasl},
		"other user mechanism": {TLS: stream.TLSConfig{Enabled: true, CAFile: ca}, SASL: stream.SASLConfig{Mechanism: "SCRAM-SHA-512", Username: "gateway", Password: "plain secret"}},
	} {
		t.Run(name, func(t *testing.T) {
			testenv.Parallel(t)
			conf.Brokers = b.Addrs()
			require.Error(t, publishOnce(t, conf, topic, 500*time.Millisecond))
		})
	}
}

func TestOldTLSIsNotSpoken(t *testing.T) {
	testenv.Parallel(t)
	cert := tlsPair(t)
	ln, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11})
	require.NoError(t, err)
	defer ln.Close()
	heard := make(chan error, 100)
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			heard <- conn.(*tls.Conn).Handshake()
			_ = conn.Close()
		}
	}()
	conf := stream.Config{Brokers: []string{ln.Addr().String()}, TLS: stream.TLSConfig{Enabled: true}}
	require.Error(t, publishOnce(t, conf, "any", 300*time.Millisecond))
	require.ErrorContains(t, <-heard, "version")
}

// TestRenewedClientCertificateIsShownWithoutARestart changes the files between two connections.
func TestRenewedClientCertificateIsShownWithoutARestart(t *testing.T) {
	testenv.Parallel(t)
	ln, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{tlsPair(t)}, ClientAuth: tls.RequireAnyClientCert})
	require.NoError(t, err)
	defer ln.Close()
	shown := make(chan []byte, 100)
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			_ = conn.(*tls.Conn).Handshake() // what was shown says enough
			if certs := conn.(*tls.Conn).ConnectionState().PeerCertificates; len(certs) > 0 {
				shown <- certs[0].Raw
			}
			_ = conn.Close()
		}
	}()
	dir := t.TempDir()
	c := stream.TLSConfig{
		Enabled: true, ServerName: "kafka.example",
		CAFile: filepath.Join(dir, "ca"), CertFile: filepath.Join(dir, "cert"), KeyFile: filepath.Join(dir, "key"),
	}
	authority := ln.Addr().String()
	conn, err := tls.Dial("tcp", authority, &tls.Config{InsecureSkipVerify: true})
	require.NoError(t, err)
	writePEM(t, c.CAFile, "CERTIFICATE", conn.ConnectionState().PeerCertificates[0].Raw)
	_ = conn.Close()

	for range 2 {
		pair := tlsPair(t)
		key, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
		require.NoError(t, err)
		writePEM(t, c.CertFile, "CERTIFICATE", pair.Certificate[0])
		writePEM(t, c.KeyFile, "PRIVATE KEY", key)
		require.Error(t, publishOnce(t, stream.Config{Brokers: []string{authority}, TLS: c}, "any", 300*time.Millisecond))
		ctx := within(t)
		for got := []byte(nil); !bytes.Equal(pair.Certificate[0], got); { // one that was under way may still show the last
			select {
			case got = <-shown:
			case <-ctx.Done():
				t.Fatal("the new certificate is not shown")
			}
		}
	}
}

func TestConfigurationThatCannotWorkIsRefusedAtStart(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing")
	junk := filepath.Join(t.TempDir(), "junk")
	require.NoError(t, os.WriteFile(junk, []byte("\n"), 0o600))
	plain := func(change func(*stream.SASLConfig)) stream.Config {
		s := stream.SASLConfig{Mechanism: "PLAIN", Username: "u", Password: "p"}
		change(&s)
		return stream.Config{SASL: s}
	}
	withTLS := func(c stream.TLSConfig) stream.Config { return stream.Config{TLS: c} }
	for want, conf := range map[string]stream.Config{
		"no brokers":                    {Brokers: []string{}},
		"missing port":                  {Brokers: []string{"kafka"}},
		"TLS is not enabled":            withTLS(stream.TLSConfig{CAFile: junk}),
		"needs both":                    withTLS(stream.TLSConfig{Enabled: true, CertFile: junk}),
		"ca file":                       withTLS(stream.TLSConfig{Enabled: true, CAFile: missing}),
		"no certificate in it":          withTLS(stream.TLSConfig{Enabled: true, CAFile: junk}),
		"client certificate":            withTLS(stream.TLSConfig{Enabled: true, CertFile: junk, KeyFile: junk}),
		"mechanism \"GSSAPI\"":          plain(func(s *stream.SASLConfig) { s.Mechanism = "GSSAPI" }),
		"but no mechanism":              plain(func(s *stream.SASLConfig) { s.Mechanism = "" }),
		"no user name":                  plain(func(s *stream.SASLConfig) { s.Username = "" }),
		"either a password or":          plain(func(s *stream.SASLConfig) { s.PasswordFile = junk }),
		"want either a password or a p": plain(func(s *stream.SASLConfig) { s.Password = "" }),
		"password file: open":           plain(func(s *stream.SASLConfig) { s.Password, s.PasswordFile = "", missing }),
		"junk: empty":                   plain(func(s *stream.SASLConfig) { s.Password, s.PasswordFile = "", junk }),
	} {
		t.Run(want, func(t *testing.T) {
			if conf.Brokers == nil {
				conf.Brokers = []string{"127.0.0.1:9092"}
			}
			require.ErrorContains(t, conf.Validate(), want)
			_, err := stream.NewProducer(stream.ProducerConfig{Config: conf})
			require.ErrorContains(t, err, want)
		})
	}
}

func TestPasswordIsNeverPrinted(t *testing.T) {
	c := stream.SASLConfig{Mechanism: "PLAIN", Username: "gateway", Password: "hush"}
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("config", "sasl", c)
	for _, text := range []string{fmt.Sprint(c), fmt.Sprintf("%+v %#v", c, c), log.String()} {
		require.NotContains(t, text, "hush")
		require.Contains(t, text, "gateway")
	}
}

// TestBrokerThatDoesNotAnswerTheHandshakeIsGivenUp: a listener that accepts and says nothing.
func TestBrokerThatDoesNotAnswerTheHandshakeIsGivenUp(t *testing.T) {
	testenv.Parallel(t)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer ln.Close()
	for name, conf := range map[string]stream.Config{
		"TLS":  {TLS: stream.TLSConfig{Enabled: true}},
		"SASL": {SASL: stream.SASLConfig{Mechanism: "PLAIN", Username: "u", Password: "p"}},
	} {
		t.Run(name, func(t *testing.T) {
			conf.Brokers, conf.DialTimeout = []string{ln.Addr().String()}, 50*time.Millisecond
			err := publishOnce(t, conf, "any", 300*time.Millisecond)
			require.ErrorContains(t, err, ln.Addr().String())
			require.False(t, errors.Is(err, stream.ErrAuthentication), "nobody has refused anything: %v", err)
		})
	}
}

// publishOnce publishes one message through a producer of its own.
func publishOnce(t *testing.T, conf stream.Config, topic string, delivery ...time.Duration) error {
	t.Helper()
	cfg := stream.ProducerConfig{Config: conf}
	if len(delivery) > 0 {
		cfg.DeliveryTimeout = delivery[0]
	}
	p, err := stream.NewProducer(cfg)
	require.NoError(t, err)
	defer func() { require.NoError(t, p.Close(context.Background())) }()
	_, err = p.Publish(within(t), message(topic, "s", "v"))
	return err
}

// caFile writes the certificate that the Kafka shows, which is its own authority, to a file.
func caFile(t *testing.T, b *testenv.Broker) string {
	t.Helper()
	conn, err := tls.Dial("tcp", b.Addr(), b.TLS())
	require.NoError(t, err)
	defer conn.Close()
	file := filepath.Join(t.TempDir(), "ca.pem")
	writePEM(t, file, "CERTIFICATE", conn.ConnectionState().PeerCertificates[0].Raw)
	return file
}

func writePEM(t *testing.T, file, kind string, der []byte) {
	t.Helper()
	require.NoError(t, os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
}

// tlsPair makes a certificate for kafka.example that is its own authority.
func tlsPair(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		DNSNames: []string{"kafka.example"}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}
