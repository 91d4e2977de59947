package contexts

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// resolveTimeout bounds the question for a host's addresses. One that nobody knows is
// compared by its name alone.
const resolveTimeout = time.Second

// Meet says whether two lists of host:port name a common server, under whatever names
// its hosts have.
func Meet(ctx context.Context, a, b []string) bool {
	if len(a) == 0 || len(b) == 0 {
		return false
	}
	ours := resolve(ctx, a)
	return slices.ContainsFunc(resolve(ctx, b), func(addr string) bool { return slices.Contains(ours, addr) })
}

// resolve returns the addresses as they are written and as they resolve.
func resolve(ctx context.Context, addrs []string) []string {
	ctx, cancel := context.WithTimeout(ctx, resolveTimeout)
	defer cancel()
	var all []string
	for _, addr := range addrs {
		all = append(all, strings.ToLower(addr))
		host, port, err := net.SplitHostPort(addr)
		if err != nil {
			continue
		}
		ips, _ := net.DefaultResolver.LookupHost(ctx, host)
		for _, text := range ips {
			if ip, err := netip.ParseAddr(text); err == nil {
				if ip = ip.Unmap(); ip.IsLoopback() { // 127.0.0.1 and ::1 are one host
					text = "loopback"
				}
				all = append(all, net.JoinHostPort(text, port))
			}
		}
	}
	return all
}
