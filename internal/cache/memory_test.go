package cache_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/internal/cache"
	"github.com/kelisim/kelisim/internal/cache/cachetest"
)

func TestMemory(t *testing.T) {
	cachetest.Run(t, func(t testing.TB) cachetest.Fixture {
		m, err := cache.NewMemory(cachetest.Layout(), nil)
		require.NoError(t, err)
		return cachetest.Fixture{Store: m, Flush: m.Flush}
	})
}
