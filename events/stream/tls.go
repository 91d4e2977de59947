package stream

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
)

// TLSConfig says whether and how connections are encrypted. TLS 1.2 is the
// least version spoken (1.0 and 1.1 are withdrawn by RFC 8996). A certificate
// is always verified; there is no switch to leave that out.
type TLSConfig struct {
	// Enabled turns TLS on. The other fields must be empty when it is false, so
	// that a forgotten switch is an error and not a connection in clear text.
	Enabled bool
	// CAFile holds the PEM certificates trusted to sign the brokers'. Empty
	// means those of the system.
	CAFile string
	// CertFile and KeyFile are this client's PEM certificate and key, both or
	// neither. They are read at every connection, so a renewed certificate is
	// used without a restart.
	CertFile, KeyFile string
	// ServerName is the name expected in the brokers' certificates. Empty means
	// the host of the address that is dialled.
	ServerName string
}

func (c TLSConfig) check() error {
	if !c.Enabled && c != (TLSConfig{}) {
		return errors.New("files or a server name are set, but TLS is not enabled")
	}
	if (c.CertFile == "") != (c.KeyFile == "") {
		return errors.New("a client certificate needs both its certificate file and its key file")
	}
	return nil
}

// build returns the configuration for crypto/tls, or nil when TLS is off. It
// reads every file once, so that a wrong name is found at start.
func (c TLSConfig) build() (*tls.Config, error) {
	if !c.Enabled {
		return nil, nil
	}
	out := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: c.ServerName}
	if c.CAFile != "" {
		pem, err := os.ReadFile(c.CAFile)
		if err != nil {
			return nil, fmt.Errorf("ca file: %w", err)
		}
		out.RootCAs = x509.NewCertPool()
		if !out.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("ca file %s: no certificate in it", c.CAFile)
		}
	}
	if c.CertFile != "" {
		if _, err := c.clientCertificate(nil); err != nil {
			return nil, err
		}
		out.GetClientCertificate = c.clientCertificate
	}
	return out, nil
}

func (c TLSConfig) clientCertificate(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
	cert, err := tls.LoadX509KeyPair(c.CertFile, c.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("client certificate: %w", err)
	}
	return &cert, nil
}
