package main

import (
	"context"
	cryptorand "crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/kelisim/kelisim/cmd/internal/roles"
	policyrole "github.com/kelisim/kelisim/consumers/policy"
	"github.com/kelisim/kelisim/events/cloudevent"
	"github.com/kelisim/kelisim/guard"
	"github.com/kelisim/kelisim/internal/cache"
	"github.com/kelisim/kelisim/internal/daemon"
	"github.com/kelisim/kelisim/schemas"
)

const (
	// budget is the time to end in. A person waits for it.
	budget = 10 * time.Second
	// guardDeadline is ten times the default, since everything shares this process
	// and its processors with the embedded Redis: a deadline that is missed denies,
	// and that is another story.
	guardDeadline = 10 * guard.DefaultDeadline
	// buckets per partition, in the embedded Redis: for a thousand people in twelve
	// partitions. The thousands of a real deployment cost it a second to begin with.
	buckets = 8
	// memory is how many states each service keeps: more people than anybody looks at.
	memory = 100_000
)

// environment is everything on top of the two servers, wired.
type environment struct {
	options  options
	servers  *servers
	page     *page
	log      *slog.Logger
	platform *roles.Platform
	services []*roles.Service
	admin    *daemon.AdminPort
	client   redis.UniversalClient // of guards and desks, as the teams would have
	crowd    *crowd
	teller   *teller
	watcher  *watcher
}

// newEnvironment wires what runs, and creates the topics that are not there.
func newEnvironment(ctx context.Context, o options, s *servers, p *page, stderr io.Writer) (*environment, error) {
	log, err := daemon.NewLogger(stderr, daemon.Log{Level: o.logLevel, Format: daemon.FormatText}, !p.colour)
	if err != nil {
		return nil, err
	}
	if o.seed == 0 {
		o.seed = rand.Uint64N(1 << 31)
	}
	cfg := daemon.Defaults()
	cfg.Kafka.Brokers, cfg.Redis.Addrs = []string{s.kafka}, []string{s.redis}
	cfg.Kafka.ClientID, cfg.Cache.Memory, cfg.Shutdown.Budget = "consent-dev", memory, budget
	if s.ownRedis != nil {
		cfg.Cache.Buckets = buckets
	}
	registry := daemon.NewRegistry()
	e := &environment{options: o, servers: s, page: p, log: log}
	if e.platform, err = roles.Open(cfg, noSecrets, registry, log); err != nil {
		return nil, err
	}
	if err := e.wire(ctx); err != nil {
		return nil, errors.Join(err, e.platform.Close(ctx))
	}
	e.admin, err = daemon.ListenAdmin(ctx, daemon.AdminOptions{
		Config: daemon.Admin{Addr: "127.0.0.1:0"}, Metrics: registry, Checks: e.checks(), Logger: log,
	})
	if err != nil {
		return nil, errors.Join(err, e.platform.Close(ctx))
	}
	return e, nil
}

// noSecrets is the environment of the services here: partners are made up.
func noSecrets(string) string { return "" }

// wire makes services, teams, people and the stories' teller.
func (e *environment) wire(ctx context.Context) (err error) {
	p := e.platform
	if err := createTopics(ctx, p.Admin); err != nil {
		return err
	}
	if err := publishPolicy(ctx, p); err != nil {
		return err
	}
	partner, err := newPartner()
	if err != nil {
		return err
	}
	p.Partners = append(p.Partners, partner)
	if p.Suppression.Current, err = newSuppressionKey(); err != nil {
		return err
	}
	for _, role := range roles.All() {
		service, err := p.Service(role)
		if err != nil {
			return fmt.Errorf("%s: %w", role.Name, err)
		}
		e.services = append(e.services, service)
	}
	if e.client, err = p.Connect(); err != nil {
		return err
	}
	publisher := &publisher{
		encoder: cloudevent.Encoder{Rules: p.Rules, Data: schemas.Data}, producer: p.Producer, topic: p.Config.Topics.Events,
		generation: uint32(p.Config.Topics.Generation),
	}
	e.teller = &teller{
		rules: p.Rules, publisher: publisher, run: strconv.FormatUint(rand.Uint64N(1<<32), 36),
		guards: make(map[string]*guard.Guard), readers: make(map[string]*cache.Reader),
	}
	if e.teller.desks, err = openDesks(ctx, p, e.client); err != nil {
		return err
	}
	for _, role := range roles.Asked() {
		e.teller.guards[role.Name] = guard.New(e.client, role.Name, guard.WithDeadline(guardDeadline))
		e.teller.readers[role.Name] = cache.NewReader(e.client, role.Name)
	}
	if e.crowd, err = newCrowd(e.options, p.Rules, publisher); err != nil {
		return err
	}
	e.watcher, err = newWatcher(e.teller, e.page)
	return err
}

// newSuppressionKey returns a key that is forgotten at the end.
func newSuppressionKey() (policyrole.Key, error) {
	secret := make([]byte, 32)
	_, _ = cryptorand.Read(secret) // never fails (crypto/rand, since Go 1.24)
	return policyrole.NewKey(secret)
}

// checks are those of all services, under their names.
func (e *environment) checks() (all []daemon.Check) {
	for _, s := range e.services {
		for _, c := range s.Checks() {
			all = append(all, daemon.Check{Name: s.Name + " " + c.Name, Ready: c.Ready})
		}
	}
	return all
}

// run runs all of it until ctx ends or the one story is told.
func (e *environment) run(ctx context.Context) error {
	e.page.writeBanner(e.options, e.servers, e.admin.Addr())
	parts := []daemon.Part{{Name: "policy", Run: e.platform.Policy.Run}}
	for _, s := range e.services {
		parts = append(parts, daemon.Part{Name: s.Name, Run: s.Run})
	}
	for _, d := range e.teller.desks {
		if d.background != nil {
			parts = append(parts, daemon.Part{Name: d.service + "'s desk", Run: d.background})
		}
	}
	parts = append(parts, daemon.Part{Name: "people", Run: e.people})
	if e.options.once {
		parts = append(parts, daemon.Part{Name: "story", Run: e.once})
	} else {
		parts = append(parts,
			daemon.Part{Name: "stories", Run: e.stories},
			daemon.Part{Name: handSubject, Run: e.watcher.run})
	}
	return daemon.Run(ctx, daemon.Program{
		Budget: budget, Logger: e.log, Admin: e.admin, Parts: parts, Finally: e.platform.Close,
	})
}

// people lets the synthetic subjects arrive and then decide for ever.
func (e *environment) people(ctx context.Context) error {
	if err := e.crowd.arrive(ctx); err != nil {
		return err
	}
	return e.crowd.run(ctx)
}

// stories tells one withdrawal after the other.
func (e *environment) stories(ctx context.Context) error {
	if err := e.teller.caughtUp(ctx, e.crowd); err != nil {
		return err
	}
	pause := time.NewTicker(e.options.storyEvery)
	defer pause.Stop()
	for {
		switch s, err := e.teller.tell(ctx); {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil: // as when the cache is emptied in the middle of it
			e.page.print("", fmt.Sprintf("This withdrawal could not be told: %v", err))
		default:
			s.others = e.crowd.published.Load()
			e.page.writeStory(s)
			if s.number == 1 {
				e.page.writeTry(e.servers, s.purposes)
			}
		}
		select {
		case <-pause.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// errBroken ends the program with an error when a promise did not hold.
var errBroken = errors.New("a promise was broken")

// once tells one story with every check.
func (e *environment) once(ctx context.Context) error {
	if err := e.teller.caughtUp(ctx, e.crowd); err != nil {
		return err
	}
	s, err := e.teller.tell(ctx)
	if err != nil {
		return err
	}
	if e.servers.ownRedis != nil { // of somebody else's Redis nothing is thrown away
		s.promises = append(s.promises, e.teller.survivesLoss(ctx, s, func(ctx context.Context) error {
			return e.client.FlushAll(ctx).Err()
		}))
	}
	s.others = e.crowd.published.Load()
	e.page.writeStory(s)
	if !s.held() {
		return errBroken
	}
	return nil
}
