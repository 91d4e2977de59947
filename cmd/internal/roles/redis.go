package roles

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/kelisim/kelisim/internal/cache"
	"github.com/kelisim/kelisim/internal/daemon"
)

// ConnectRedis makes a client of the configured Redis; it opens no connection.
// It reads the files that the configuration names. The caller closes the client.
func ConnectRedis(c daemon.Redis) (redis.UniversalClient, error) {
	secure, err := TLSOf(c.TLS)
	if err != nil {
		return nil, fmt.Errorf("redis.tls: %w", err)
	}
	password, err := secret("redis.password_file", c.Password, c.PasswordFile)
	if err != nil {
		return nil, err
	}
	sentinel, err := secret("redis.sentinel.password_file", c.Sentinel.Password, c.Sentinel.PasswordFile)
	if err != nil {
		return nil, err
	}
	return cache.Connect(cache.Options{
		Addrs: c.Addrs, Cluster: c.Mode == daemon.RedisCluster, MasterName: c.MasterName, DB: c.DB,
		Username: c.Username, Password: password,
		SentinelUsername: c.Sentinel.Username, SentinelPassword: sentinel,
		TLS: secure,
	})
}

// secret returns the value, or the content of the file when one is named.
func secret(key, value, file string) (string, error) {
	if file == "" {
		return value, nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("%s: %w", key, err)
	}
	if value = strings.TrimRight(string(text), "\r\n"); value == "" {
		return "", fmt.Errorf("%s: %s is empty", key, file)
	}
	return value, nil
}

// TLSOf returns what crypto/tls makes of the settings, nil when they are off. It
// reads the files that they name.
func TLSOf(c daemon.TLS) (*tls.Config, error) {
	if !c.Enabled {
		return nil, nil
	}
	out := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: c.ServerName} // clause 3.5; RFC 8996
	if c.CAFile != "" {
		pem, err := os.ReadFile(c.CAFile)
		if err != nil {
			return nil, fmt.Errorf("ca_file: %w", err)
		}
		out.RootCAs = x509.NewCertPool()
		if !out.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("ca_file: %s holds no certificate", c.CAFile)
		}
	}
	if c.CertFile != "" {
		load := func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { // anew for each connection
			cert, err := tls.LoadX509KeyPair(c.CertFile, c.KeyFile)
			if err != nil {
				return nil, fmt.Errorf("cert_file: %w", err)
			}
			return &cert, nil
		}
		if _, err := load(nil); err != nil {
			return nil, err
		}
		out.GetClientCertificate = load
	}
	return out, nil
}
