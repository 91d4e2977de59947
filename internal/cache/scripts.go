package cache

import (
	"context"
	_ "embed"
	"fmt"

	"github.com/redis/go-redis/v9"
)

var (
	//go:embed lua/mark.lua
	markLua string
	//go:embed lua/holds.lua
	holdsLua string
	//go:embed lua/write.lua
	writeLua string
	//go:embed lua/refresh.lua
	refreshLua string
	//go:embed lua/claim.lua
	claimLua string
	//go:embed lua/forget.lua
	forgetLua string
	//go:embed lua/resolve.lua
	resolveLua string
	//go:embed lua/begin.lua
	beginLua string
	//go:embed lua/done.lua
	doneLua string
	//go:embed lua/hold.lua
	holdLua string
	//go:embed lua/load.lua
	loadLua string
	//go:embed lua/layout.lua
	layoutLua string
	//go:embed lua/owe.lua
	oweLua string
	//go:embed lua/policy.lua
	policyLua string
	//go:embed lua/lookup.lua
	lookupLua string
	//go:embed lua/look.lua
	lookLua string
	//go:embed lua/mend.lua
	mendLua string
	//go:embed lua/redigest.lua
	redigestLua string
	//go:embed lua/differ.lua
	differLua string
	//go:embed lua/swap.lua
	swapLua string
	//go:embed lua/adopt.lua
	adoptLua string
	//go:embed lua/fence.lua
	fenceLua string
	//go:embed lua/retire.lua
	retireLua string
)

// scripts are the scripts of a store. Every key that one touches is among its
// KEYS, and all of them carry one hash tag, so Redis Cluster runs each where
// its partition is.
type scripts struct {
	write, resolve, refresh, claim, forget, begin, done, hold, load, layout *redis.Script
	owe, policy                                                             *redis.Script // of changes of the policy
	look, mend, redigest                                                    *redis.Script // of a Mender
	differ, swap                                                            *redis.Script // of a Staging
	adopt, fence, retire                                                    *redis.Script // of a Successor
}

func newScripts() scripts {
	return scripts{
		write:   redis.NewScript(markLua + holdsLua + writeLua),
		resolve: redis.NewScript(markLua + resolveLua),
		refresh: redis.NewScript(markLua + refreshLua),
		claim:   redis.NewScript(markLua + claimLua),
		forget:  redis.NewScript(markLua + forgetLua),
		begin:   redis.NewScript(markLua + beginLua),
		done:    redis.NewScript(markLua + doneLua),
		hold:    redis.NewScript(holdsLua + holdLua),
		load:    redis.NewScript(loadLua),
		layout:  redis.NewScript(layoutLua),
		owe:     redis.NewScript(markLua + oweLua),
		policy:  redis.NewScript(policyLua),

		look:     redis.NewScript(lookLua),
		mend:     redis.NewScript(mendLua),
		redigest: redis.NewScript(redigestLua),

		differ: redis.NewScript(differLua),
		swap:   redis.NewScript(holdsLua + swapLua),

		adopt:  redis.NewScript(adoptLua),
		fence:  redis.NewScript(fenceLua),
		retire: redis.NewScript(retireLua),
	}
}

// all lists the scripts.
func (s *scripts) all() []*redis.Script {
	return []*redis.Script{
		s.write, s.resolve, s.refresh, s.claim, s.forget, s.begin, s.done, s.hold, s.load, s.layout, s.owe, s.policy,
		s.look, s.mend, s.redigest, s.differ, s.swap, s.adopt, s.fence, s.retire,
	}
}

// install gives the scripts to every node of Redis. A node forgets them when it
// restarts, and a new one has never heard of them, so this runs again whenever
// a node answers NOSCRIPT.
func (s *scripts) install(ctx context.Context, client redis.UniversalClient) error {
	for _, script := range s.all() {
		if err := script.Load(ctx, client).Err(); err != nil {
			return fmt.Errorf("load scripts: %w", classify(err))
		}
	}
	return nil
}

// call builds the command that runs a script. Arguments are strings or pointers
// to strings: those are written without being copied or boxed.
func call(ctx context.Context, script *redis.Script, keys int, args []any) *redis.Cmd {
	args[0], args[1], args[2] = "evalsha", script.Hash(), itoa(int64(keys))
	return redis.NewCmd(ctx, args...)
}

// newArgs starts the arguments of a script: room for the head of the command, then keys.
func newArgs(room int) []any { return make([]any, 3, 3+room) }
