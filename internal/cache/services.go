package cache

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"
)

// scanCount is how many keys one step of the scan looks at: a millisecond's work.
const scanCount = 1000

// Services returns the layout of every service that a Redis holds, by the
// services' names. It walks over all keys, in small steps, so it is for tools.
func Services(ctx context.Context, client redis.UniversalClient) ([]Layout, error) {
	var mu sync.Mutex // the nodes are asked at the same time
	names := make(map[string]bool)
	node := func(ctx context.Context, node *redis.Client) error {
		keys := node.Scan(ctx, 0, layoutKey("*"), scanCount).Iterator()
		for keys.Next(ctx) {
			mu.Lock()
			names[serviceOf(keys.Val())] = true
			mu.Unlock()
		}
		return keys.Err()
	}
	if err := EachNode(ctx, client, node); err != nil {
		return nil, fmt.Errorf("services: %w", classify(err))
	}
	var all []Layout
	for name := range names {
		l, err := readLayout(ctx, client, name)
		if err != nil {
			return nil, fmt.Errorf("layout of %s: %w", name, err)
		}
		all = append(all, l)
	}
	slices.SortFunc(all, func(a, b Layout) int { return strings.Compare(a.Service, b.Service) })
	return all, nil
}

// serviceOf takes the service's name out of the key of its layout.
func serviceOf(key string) string {
	before, after, _ := strings.Cut(layoutKey("*"), "*")
	return strings.TrimSuffix(strings.TrimPrefix(key, before), after)
}

// EachNode calls the function with every node that holds keys of its own: of a
// cluster with all masters, at the same time.
func EachNode(ctx context.Context, client redis.UniversalClient, node func(context.Context, *redis.Client) error) error {
	switch client := client.(type) {
	case *redis.ClusterClient:
		return client.ForEachMaster(ctx, node)
	case *redis.Client:
		return node(ctx, client)
	}
	return fmt.Errorf("%T is no client of nodes", client)
}
