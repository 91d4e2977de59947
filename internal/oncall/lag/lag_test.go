package lag

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/guard"
	"github.com/kelisim/kelisim/internal/cache"
)

func TestAStatusIsWellOnlyWhereGuardsMayAllow(t *testing.T) {
	log := stream.Offsets{First: 10, End: 100}
	at := func(next int64, age time.Duration) cache.Stand {
		return cache.Stand{Known: true, Next: next, Proved: true, Age: age}
	}
	const fresh, old = time.Second, guard.DefaultMaxStaleness + time.Second
	for name, c := range map[string]struct {
		before, after cache.Stand
		want          Status
		well          bool
	}{
		"nothing came":             {at(100, fresh), at(100, fresh), Idle, true},
		"all that came is there":   {at(90, fresh), at(100, fresh), Current, true},
		"behind, moving and fresh": {at(50, fresh), at(60, fresh), Catching, true},
		"moving, and denied":       {at(50, old), at(60, old), Late, false},
		"moving, never proved":     {cache.Stand{Known: true, Next: 50}, cache.Stand{Known: true, Next: 60}, Late, false},
		"not moving":               {at(50, old), at(50, old), Stuck, false},
		"nobody proves it":         {at(100, old), at(100, old), Stale, false},
		"nothing is known":         {cache.Stand{}, cache.Stand{}, Never, false},
		"the log lost it":          {at(5, fresh), at(5, fresh), Lost, false},
	} {
		var p Partition
		p.judge(c.before, c.after, log, time.Second)
		require.Equal(t, c.want, p.Status, name)
		require.Equal(t, c.well, p.Status.well(), name)
	}
}
