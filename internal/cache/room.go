package cache

import (
	"context"
	"fmt"
	"strconv"

	"github.com/redis/go-redis/v9"
)

// sampled is how many buckets of a partition are measured: subjects spread evenly,
// so a few tell of all.
const sampled = 32

// Room is what one server of Redis has left, and what staging needs of it.
type Room struct {
	Addr       string
	Need, Left int64 // bytes
}

// Rooms says what a second copy of partitions takes, by the server that they are on.
// A server that does not say how much memory it has is left out.
func (s *Staging) Rooms(ctx context.Context, partitions ...int32) ([]Room, error) {
	need, order := make(map[string]int64), []*redis.Client{}
	for _, p := range partitions {
		node, err := s.node(ctx, p)
		if err != nil {
			return nil, fmt.Errorf("room for partition %d of %s: %w", p, s.live.Service, classify(err))
		}
		if _, known := need[node.Options().Addr]; !known {
			order = append(order, node)
		}
		need[node.Options().Addr] += s.weigh(ctx, p)
	}
	var rooms []Room
	for _, node := range order {
		text, err := node.Info(ctx).Result()
		if err != nil {
			if refused(err) {
				continue
			}
			return nil, fmt.Errorf("room in redis %s: %w", node.Options().Addr, classify(err))
		}
		info := fieldsOfInfo(text)
		used, limit := number(info["used_memory"]), number(info["maxmemory"])
		if limit <= 0 {
			limit = number(info["total_system_memory"])
		}
		if used > 0 && limit > 0 {
			rooms = append(rooms, Room{Addr: node.Options().Addr, Need: need[node.Options().Addr], Left: limit - used})
		}
	}
	return rooms, nil
}

// node returns the server that a partition is on.
func (s *Staging) node(ctx context.Context, partition int32) (*redis.Client, error) {
	switch client := s.client.(type) {
	case *redis.ClusterClient:
		return client.MasterForKey(ctx, s.live.Prefix(partition)+positionName)
	case *redis.Client:
		return client, nil
	}
	return nil, fmt.Errorf("%T is no client of servers", s.client)
}

// weigh estimates the bytes of a partition's buckets; 0 where Redis does not say.
func (s *Staging) weigh(ctx context.Context, partition int32) (bytes int64) {
	pipe := s.client.Pipeline()
	step := max(1, s.live.Buckets/sampled)
	var cmds []*redis.IntCmd
	for b := int32(0); b < s.live.Buckets; b += step {
		cmds = append(cmds, pipe.MemoryUsage(ctx, s.live.bucketKey(partition, b), 0)) // 0: all fields
	}
	_, _ = pipe.Exec(ctx) // a bucket that is not there is an error of its own
	for _, cmd := range cmds {
		bytes += cmd.Val()
	}
	return bytes * int64(step)
}

// number reads a number that INFO says; 0 when it says none.
func number(text string) int64 {
	n, _ := strconv.ParseInt(text, 10, 64)
	return n
}
