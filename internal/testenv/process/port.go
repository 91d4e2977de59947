package process

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
)

// Ports are taken below the range from which Linux gives ports to outgoing connections (32768 and up): a server that
// restarts must find its port free.
const (
	firstPort = 15000
	lastPort  = 32000
)

// handedOut holds the ports given out by this process, so that two servers that have not bound theirs yet differ.
var handedOut sync.Map

// FreePorts returns loopback ports that nobody listens on.
func FreePorts(n int) ([]int, error) {
	const attempts = 1000
	var ports []int
	for range attempts {
		if len(ports) == n {
			return ports, nil
		}
		port := firstPort + rand.IntN(lastPort-firstPort)
		ln, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			continue
		}
		_ = ln.Close()
		if _, taken := handedOut.LoadOrStore(port, struct{}{}); !taken {
			ports = append(ports, port)
		}
	}
	return nil, fmt.Errorf("no %d free ports between %d and %d", n, firstPort, lastPort)
}
