package doctor

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/internal/testenv"
)

// listen serves TLS handshakes with a certificate that ends at a time.
func listen(t *testing.T, least uint16, ends time.Time) (addr string, roots *x509.CertPool) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: ends, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	roots = x509.NewCertPool()
	roots.AddCert(cert)
	ln, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, MinVersion: least,
	})
	require.NoError(t, err)
	t.Cleanup(func() { _ = ln.Close() })
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			_ = conn.(*tls.Conn).HandshakeContext(t.Context())
			_ = conn.Close()
		}
	}()
	return ln.Addr().String(), roots
}

func TestServersThatSpeakOldTLSOrWhoseCertificateEndsAreFound(t *testing.T) {
	testenv.Parallel(t)
	for _, c := range []struct {
		least uint16
		ends  time.Duration
		found []string
	}{
		{tls.VersionTLS12, 365 * 24 * time.Hour, nil},
		{tls.VersionTLS10, 365 * 24 * time.Hour, []string{"still speaks TLS 1.1"}},
		{tls.VersionTLS12, 100 * time.Hour, []string{"its certificate ends in 4 days"}},
	} {
		addr, roots := listen(t, c.least, time.Now().Add(c.ends))
		l := Link{Name: "redis", TLS: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}
		found, err := l.look(t.Context(), addr)
		require.NoError(t, err)
		require.Len(t, found, len(c.found))
		for i := range found {
			require.Equal(t, c.found[i], found[i].Found)
		}
	}
	addr, _ := listen(t, tls.VersionTLS12, time.Now().Add(time.Hour))
	_, err := Link{Name: "redis", TLS: &tls.Config{MinVersion: tls.VersionTLS12}}.look(t.Context(), addr)
	require.ErrorContains(t, err, "redis "+addr, "who is not trusted is not well")
}
