package main

import (
	"context"

	"github.com/redis/go-redis/v9"

	"github.com/kelisim/kelisim/cmd/internal/roles"
	"github.com/kelisim/kelisim/consumers"
	"github.com/kelisim/kelisim/consumers/targeting"
	"github.com/kelisim/kelisim/events"
)

// segment is the one that the stories' subjects join.
const segment = "film-lovers"

func targetingDesk(_ *roles.Platform, client redis.UniversalClient, slots []consumers.Slot) (desk, error) {
	d := desk{purpose: "targeted-ads", stops: "profile forgotten, left the segment"}
	team, err := targeting.Open(client, slots)
	if err != nil {
		return d, err
	}
	d.use = func(ctx context.Context, s events.Subject) error {
		if err := team.Register(ctx, segment, d.purpose); err != nil {
			return err
		}
		in, err := team.Join(ctx, segment, s)
		if err != nil {
			return err
		}
		learned, err := team.Learn(ctx, d.purpose, s, map[string]string{"likes": "films", "visits": "7"})
		if err == nil && (in.Joined != 1 || !learned) {
			err = errNotUsed
		}
		return err
	}
	d.stopped = func(ctx context.Context, s events.Subject) (bool, error) {
		m, err := team.Member(ctx, segment, s)
		if err != nil || m.In {
			return false, err
		}
		p, err := team.Profile(ctx, d.purpose, s)
		return len(p.Features) == 0, err
	}
	return d, nil
}
