package doctor

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"
)

// expiresSoon is how long before its end a certificate is named.
const expiresSoon = 30 * 24 * time.Hour

// dialTimeout bounds one connection.
const dialTimeout = 3 * time.Second

// checkLinks finds connections in clear text beyond this host, servers that still
// speak TLS 1.0 or 1.1, and certificates near their end. Clause 3.5 of the policy
// asks for encryption.
func checkLinks(ctx context.Context, e *Env) ([]Finding, error) {
	var out []Finding
	var faults []error
	for _, l := range e.Links {
		for _, addr := range l.Addrs {
			found, err := l.look(ctx, addr)
			out, faults = append(out, found...), append(faults, err)
		}
	}
	more, err := e.listeners(ctx)
	return append(out, more...), errors.Join(append(faults, err)...)
}

// look judges one address of a link.
func (l Link) look(ctx context.Context, addr string) ([]Finding, error) {
	object := l.Name + " " + addr
	if l.TLS == nil {
		if loopback(addr) {
			return nil, nil
		}
		return []Finding{{
			Severity: Critical, Object: object, Found: "is reached in clear text, beyond this host",
			Fix: "set " + l.Name + ".tls.enabled, and the server's certificates",
		}}, nil
	}
	state, err := shake(ctx, addr, l.TLS)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", object, err)
	}
	var out []Finding
	if left := time.Until(state.PeerCertificates[0].NotAfter); left < expiresSoon {
		out = append(out, Finding{
			Severity: Warning, Object: object, Found: fmt.Sprintf("its certificate ends in %d days", int(left.Hours()/24)), Fix: "renew it",
		})
	}
	old := &tls.Config{
		MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11, //nolint:gosec // to find out whether the server would; nothing is sent
		InsecureSkipVerify: true, //nolint:gosec // whoever it is, it should refuse
	}
	if state, err := shake(ctx, addr, old); err == nil {
		out = append(out, Finding{
			Severity: Warning, Object: object, Found: "still speaks " + tls.VersionName(state.Version),
			Fix: "allow 1.2 and 1.3 only (Kafka: ssl.enabled.protocols, Redis: tls-protocols)",
		})
	}
	return out, nil
}

// shake makes a TLS connection, and closes it.
func shake(ctx context.Context, addr string, conf *tls.Config) (tls.ConnectionState, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	conn, err := (&tls.Dialer{Config: conf}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return tls.ConnectionState{}, err
	}
	defer func() { _ = conn.Close() }()
	return conn.(*tls.Conn).ConnectionState(), nil
}

// listeners finds brokers that offer clear text beyond their host, to clients or
// to each other.
func (e *Env) listeners(ctx context.Context) ([]Finding, error) {
	admin, err := e.Admin()
	if err != nil {
		return nil, err
	}
	k, err := admin.Cluster(ctx)
	if err != nil {
		return nil, err
	}
	var out []Finding
	for _, b := range k.Brokers {
		settings, err := admin.BrokerSettings(ctx, b.ID)
		if err != nil {
			return out, err
		}
		protocols := pairs(settings["listener.security.protocol.map"].Value, ":")
		for name, addr := range pairs(settings["listeners"].Value, "://") {
			protocol := protocols[name]
			if protocol == "" {
				protocol = name
			}
			if !strings.HasSuffix(protocol, "PLAINTEXT") || loopback(addr) {
				continue
			}
			out = append(out, Finding{
				Severity: Warning, Object: fmt.Sprintf("broker %d", b.ID), Found: fmt.Sprintf("listens on %s (%s) in clear text", addr, name),
				Fix: fmt.Sprintf("set listener.security.protocol.map=%s:SSL or SASL_SSL, or bind the listener to the loopback address", name),
			})
		}
	}
	return out, nil
}

// pairs reads "A:x,B:y".
func pairs(text, between string) map[string]string {
	out := make(map[string]string)
	for part := range strings.SplitSeq(text, ",") {
		if name, value, ok := strings.Cut(strings.TrimSpace(part), between); ok {
			out[name] = value
		}
	}
	return out
}

// loopback says whether an address stays on its host. A name that is not
// localhost does not: nobody knows where it will lead.
func loopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
