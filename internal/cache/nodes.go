package cache

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// Node is one server of a Redis, and what it says of itself.
type Node struct {
	Addr     string
	Settings map[string]string // CONFIG GET *; nil where the server does not let us ask
	Info     map[string]string // INFO, all fields
	Clock    time.Time         // its clock at some moment between the next two, by ours
	Asked    time.Time
	Answered time.Time
	Open     bool // it serves whoever connects, without a password or a certificate
}

// Inspect asks every server that the client knows: of a cluster all masters and
// replicas, for a replica is a master after the next failover.
func Inspect(ctx context.Context, client redis.UniversalClient) ([]Node, error) {
	var nodes []Node
	var together sync.Mutex // ForEachShard asks the servers at the same time
	ask := func(ctx context.Context, server *redis.Client) error {
		n, err := inspect(ctx, server)
		if err != nil {
			return fmt.Errorf("redis %s: %w", n.Addr, classify(err))
		}
		together.Lock()
		defer together.Unlock()
		nodes = append(nodes, n)
		return nil
	}
	var err error
	switch client := client.(type) {
	case *redis.ClusterClient:
		err = client.ForEachShard(ctx, ask)
	case *redis.Client:
		err = ask(ctx, client)
	default:
		err = fmt.Errorf("inspect redis: %T is no client of servers", client)
	}
	slices.SortFunc(nodes, func(a, b Node) int { return cmp.Compare(a.Addr, b.Addr) })
	return nodes, err
}

func inspect(ctx context.Context, server *redis.Client) (n Node, err error) {
	n.Addr, n.Asked = server.Options().Addr, time.Now()
	if n.Clock, err = server.Time(ctx).Result(); err != nil {
		return n, err
	}
	n.Answered = time.Now()
	n.Open = open(ctx, server)
	if n.Settings, err = server.ConfigGet(ctx, "*").Result(); err != nil && !refused(err) {
		return n, err
	}
	text, err := server.Info(ctx).Result()
	if err != nil {
		return n, err
	}
	n.Info = fieldsOfInfo(text)
	return n, nil
}

// fieldsOfInfo takes what INFO says apart.
func fieldsOfInfo(text string) map[string]string {
	fields := make(map[string]string)
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			fields[name] = value
		}
	}
	return fields
}

// open says whether a server serves one who shows neither password nor certificate.
func open(ctx context.Context, server *redis.Client) bool {
	stranger := *server.Options()
	stranger.Username, stranger.Password, stranger.CredentialsProvider = "", "", nil
	stranger.CredentialsProviderContext, stranger.StreamingCredentialsProvider = nil, nil
	stranger.OnConnect, stranger.MaxRetries = nil, -1
	stranger.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled} // the other's it may write to
	if stranger.TLSConfig != nil {
		stranger.TLSConfig = stranger.TLSConfig.Clone()
		stranger.TLSConfig.Certificates, stranger.TLSConfig.GetClientCertificate = nil, nil
	}
	client := redis.NewClient(&stranger)
	defer func() { _ = client.Close() }()
	return client.Time(ctx).Err() == nil
}

// LayoutOf returns the layout that a service recorded. The error wraps
// [ErrNoLayout] where it recorded none.
func LayoutOf(ctx context.Context, client redis.UniversalClient, service string) (Layout, error) {
	l, err := readLayout(ctx, client, service)
	if err != nil {
		return Layout{}, fmt.Errorf("layout of %s: %w", service, err)
	}
	return l, nil
}
