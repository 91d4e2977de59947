package cache_test

import (
	"context"
	"testing"

	"github.com/kelisim/kelisim/internal/cache"
	"github.com/kelisim/kelisim/internal/cache/cachetest"
)

func TestMemory(t *testing.T) {
	cachetest.Run(t, func(context.Context) (cachetest.Fixture, error) {
		m, err := cache.NewMemory(cachetest.Layout(), nil)
		return cachetest.Fixture{Store: m, Flush: m.Flush, Close: func() {}}, err
	})
}
