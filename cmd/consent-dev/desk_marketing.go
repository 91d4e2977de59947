package main

import (
	"context"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/kelisim/kelisim/cmd/internal/roles"
	"github.com/kelisim/kelisim/consumers"
	"github.com/kelisim/kelisim/consumers/marketing"
	"github.com/kelisim/kelisim/events"
)

// campaign is the one that is to be sent to the stories' subjects.
const campaign = "spring-offers"

func marketingDesk(_ *roles.Platform, client redis.UniversalClient, slots []consumers.Slot) (desk, error) {
	d := desk{purpose: "promotion", stops: "left audience and send queue, suppressed"}
	team, err := marketing.Open(client, slots)
	if err != nil {
		return d, err
	}
	d.use = func(ctx context.Context, s events.Subject) error {
		if err := team.Register(ctx, campaign, d.purpose); err != nil {
			return err
		}
		in, err := team.Admit(ctx, campaign, s)
		if err == nil && in.Added == 1 {
			in, err = team.Schedule(ctx, campaign, time.Now().Add(time.Hour), s)
		}
		if err == nil && in.Added != 1 {
			err = errNotUsed
		}
		return err
	}
	d.stopped = func(ctx context.Context, s events.Subject) (bool, error) {
		m, err := team.Member(ctx, campaign, s)
		return !m.In && m.Suppressed, err
	}
	return d, nil
}
