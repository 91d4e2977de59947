package slots

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/redis/go-redis/v9"

	"github.com/kelisim/kelisim/consumers"
	"github.com/kelisim/kelisim/internal/cache"
)

// layoutFormat is the format of recorded layouts that this package can read
// (docs/cache.md).
const layoutFormat = "1"

// maxPartitions bounds what is believed of a recorded layout.
const maxPartitions = 1 << 16

// Recorded returns the slots of the generation that a service recorded in Redis
// when it first started. A new generation of the topic has other slots: whoever
// runs for long asks again now and then.
func Recorded(ctx context.Context, client redis.UniversalClient, service string) ([]consumers.Slot, error) {
	fields, err := client.HGetAll(ctx, "consent:{"+service+"}:layout").Result()
	switch {
	case err != nil:
		return nil, fmt.Errorf("layout of %s: %w", service, err)
	case len(fields) == 0:
		return nil, fmt.Errorf("layout of %s: none is recorded; has the service ever run?", service)
	case fields["format"] != layoutFormat:
		return nil, fmt.Errorf("layout of %s: format %q, want %s", service, fields["format"], layoutFormat)
	}
	generation, err1 := strconv.ParseUint(fields["generation"], 10, 32)
	partitions, err2 := strconv.ParseInt(fields["partitions"], 10, 32)
	if err := errors.Join(err1, err2); err != nil || partitions < 1 || partitions > maxPartitions {
		return nil, fmt.Errorf("layout of %s: generation %q with %q partitions", service, fields["generation"], fields["partitions"])
	}
	layout := cache.Layout{Service: service, Generation: uint32(generation)}
	all := make([]consumers.Slot, partitions)
	for p := range all {
		all[p] = consumers.Slot{Partition: int32(p), Prefix: layout.Prefix(int32(p))}
	}
	return all, nil
}
