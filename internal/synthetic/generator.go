package synthetic

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"

	"github.com/kelisim/kelisim/events"
)

// Config says who is made up. The zero value of a field has the default that is
// named with it.
type Config struct {
	// Seed decides everything. Events of equal seeds have equal ids, so a log
	// that is kept takes them for copies: give each run its own.
	Seed uint64
	// Subjects is how many people there are; 1,000.
	Subjects int
	// Prefix begins their ids, "synthetic-" and a number; it must leave the ids
	// valid.
	Prefix string
	// Sources are the producers that the decisions come through;
	// "/kelisim/app" and "/kelisim/web". Nine in ten decisions of a subject come
	// through the same one.
	Sources []string
	// Mix is how often what is decided; DefaultMix.
	Mix Mix
	// Policy is the version that grants are given under; "2026-11".
	Policy events.PolicyVersion
}

// Generator makes up events. It is not safe for concurrent use.
type Generator struct {
	cfg       Config
	random    *rand.Rand
	draw      draw
	people    []person
	made      uint64
	run       string // part of every id
	onConsent events.PurposeSet
	refusable events.PurposeSet
}

// streamOfSeed makes the second word of the generator's seed; any constant does.
const streamOfSeed = 0x6b656c6973696d // "kelisim"

// New returns a generator of the given people. It has nobody arrived yet.
func New(cfg Config, rules *events.Rules) (*Generator, error) {
	cfg = cfg.withDefaults()
	g := &Generator{
		cfg: cfg, random: rand.New(rand.NewPCG(cfg.Seed, streamOfSeed)), draw: newDraw(cfg.Mix),
		people: make([]person, cfg.Subjects),
	}
	g.run = strconv.FormatUint(g.random.Uint64(), 36)
	for _, p := range rules.Names(rules.All()) {
		rule, _ := rules.Rule(p)
		if rule.Basis == events.Consent {
			g.onConsent |= events.SetOf(rule.Code)
		}
		if rule.Withdrawable == events.Refusable {
			g.refusable |= events.SetOf(rule.Code)
		}
	}
	if _, err := events.ParseSubject(g.id(cfg.Subjects - 1)); err != nil {
		return nil, fmt.Errorf("synthetic: prefix %q: %w", cfg.Prefix, err)
	}
	if cfg.Mix[events.PolicyAccepted] == 0 {
		return nil, errors.New("synthetic: the mix needs policy acceptances: they are possible at any time")
	}
	return g, nil
}

func (c Config) withDefaults() Config {
	if c.Subjects == 0 {
		c.Subjects = 1000
	}
	if c.Prefix == "" {
		c.Prefix = "synthetic-"
	}
	if len(c.Sources) == 0 {
		c.Sources = []string{"/kelisim/app", "/kelisim/web"}
	}
	if c.Mix == nil {
		c.Mix = DefaultMix()
	}
	if c.Policy == "" {
		c.Policy = events.SeedPolicy
	}
	return c
}

// Subject returns the id of person number i, from 0 to below Config.Subjects.
func (g *Generator) Subject(i int) events.Subject {
	s, err := events.ParseSubject(g.id(i))
	if err != nil {
		return events.Subject{} // New has tried the longest one
	}
	return s
}

func (g *Generator) id(i int) string { return fmt.Sprintf("%s%06d", g.cfg.Prefix, i) }

// Next returns the next decision, of anybody, made at the given moment. Moments
// must not run backwards. The event stands in no log yet.
func (g *Generator) Next(decided events.Millis) events.Event {
	return g.NextOf(g.random.IntN(len(g.people)), decided)
}

// NextOf returns the next decision of person number i.
func (g *Generator) NextOf(i int, decided events.Millis) events.Event {
	p := &g.people[i]
	g.made++
	e := events.Event{
		Method: events.ByPerson, ID: g.run + "-" + strconv.FormatUint(g.made, 10),
		Source:  g.source(i),
		Subject: g.Subject(i),
		Decided: decided,
	}
	if p.arrived < arrivals {
		g.arrive(p, &e)
	} else {
		for !p.decide(g.draw.pick(g.random.IntN(g.draw.total())), g, &e) { // an acceptance is always possible
			e.Purposes = 0
		}
	}
	if e.Type == events.Granted || e.Type == events.PolicyAccepted {
		e.Policy = g.cfg.Policy
	}
	g.prove(&e)
	return e
}

// arrive tells the next event of a subject's arrival.
func (g *Generator) arrive(p *person, e *events.Event) {
	order := [arrivals]events.Type{events.AgreementStarted, events.PolicyAccepted, events.Granted}
	p.decide(order[p.arrived], g, e)
	p.arrived++
}

// source returns the producer of a decision of person number i.
func (g *Generator) source(i int) string {
	n := len(g.cfg.Sources)
	if g.random.IntN(10) == 0 {
		return g.cfg.Sources[g.random.IntN(n)]
	}
	return g.cfg.Sources[i%n]
}

// mostPurposes bounds the purposes of one decision: forms ask for a few at once.
const mostPurposes = 4

// some returns between one and four of the purposes, none only of none.
func (g *Generator) some(of events.PurposeSet) events.PurposeSet {
	want := 1 + g.random.IntN(mostPurposes)
	for of.Len() > want {
		drop := g.random.IntN(of.Len())
		for c := range of.Codes() {
			if drop == 0 {
				of &^= events.SetOf(c)
				break
			}
			drop--
		}
	}
	return of
}
