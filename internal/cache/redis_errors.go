package cache

import (
	"errors"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"
)

// unavailable are the errors of a Redis that will answer again: it is loading,
// failing over, moving slots, or cannot save (https://redis.io/docs/latest/
// develop/reference/protocol-spec/, simple errors; go-redis error.go).
var unavailable = [...]string{
	"LOADING", "READONLY", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "MOVED", "ASK", "BUSY", "NOREPLICAS", "MISCONF", "UNKILLABLE",
}

// classify gives an error of go-redis the kind that says what to do next. It
// keeps the cause.
func classify(err error) error {
	var answered redis.Error
	switch {
	case err == nil || errors.Is(err, redis.Nil):
		return nil
	case !errors.As(err, &answered):
		return fmt.Errorf("%w: %w", ErrUnavailable, err) // never reached it, or never heard back
	}
	text := strings.TrimPrefix(err.Error(), "ERR ")
	switch kind, _, _ := strings.Cut(text, " "); {
	case kind == "OOM":
		return fmt.Errorf("%w: %w", ErrFull, err)
	case strings.Contains(text, "WRONGTYPE "): // wrapped, if it comes out of a script
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	default:
		for _, known := range unavailable {
			if kind == known {
				return fmt.Errorf("%w: %w", ErrUnavailable, err)
			}
		}
	}
	return err
}

// noScript says whether a node did not have a script.
func noScript(err error) bool { return err != nil && redis.HasErrorPrefix(err, "NOSCRIPT") }
