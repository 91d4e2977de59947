package slotstest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/kelisim/kelisim/internal/testenv"
)

// Freshness is a client hook that makes every slot fresh just before a script
// runs on it, as a consumer that keeps up does.
type Freshness struct{ Lost atomic.Bool }

// Redis starts a Redis of its own for a test and returns a client that keeps its
// slots fresh.
func Redis(t testing.TB) *redis.Client {
	t.Helper()
	return Client(t, testenv.Redis(t))
}

// Client returns a client of a Redis that keeps its slots fresh.
func Client(t testing.TB, server *testenv.RedisServer) *redis.Client {
	t.Helper()
	client := server.Client(t)
	KeepFresh(client)
	return client
}

// KeepFresh keeps the slots fresh that a client uses, until Lost is set.
func KeepFresh(client redis.UniversalClient) *Freshness {
	f := new(Freshness)
	client.AddHook(f)
	return f
}

// DialHook implements [redis.Hook].
func (f *Freshness) DialHook(next redis.DialHook) redis.DialHook { return next }

// ProcessPipelineHook implements [redis.Hook].
func (f *Freshness) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

// ProcessHook implements [redis.Hook].
func (f *Freshness) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if args := cmd.Args(); strings.HasPrefix(cmd.Name(), "eval") && !f.Lost.Load() {
			pos := fmt.Sprint(args[3], "pos") // the script's only key is the prefix
			if err := next(ctx, redis.NewIntCmd(ctx, "hset", pos, "next", 1, "fresh", time.Now().UnixMilli())); err != nil {
				return err
			}
		}
		return next(ctx, cmd)
	}
}

// Breaker is a client hook that makes the script call of a given number fail.
type Breaker struct {
	At    int64 // the call that fails, from 1
	After bool  // it fails after the server ran it: only the reply is lost
	calls atomic.Int64
}

// ErrBroken is what a broken call fails with.
var ErrBroken = errors.New("connection broken by the test")

// DialHook implements [redis.Hook].
func (b *Breaker) DialHook(next redis.DialHook) redis.DialHook { return next }

// ProcessPipelineHook implements [redis.Hook].
func (b *Breaker) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

// ProcessHook implements [redis.Hook].
func (b *Breaker) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if cmd.Name() != "evalsha" || b.calls.Add(1) != b.At {
			return next(ctx, cmd)
		}
		if b.After {
			_ = next(ctx, cmd)
		}
		cmd.SetErr(ErrBroken)
		return ErrBroken
	}
}
