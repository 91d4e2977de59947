package policy

import (
	_ "embed"
	"fmt"
	"sync"

	"github.com/kelisim/kelisim/events"
)

//go:embed seed.yaml
var seed []byte

// Seed returns the catalogue of the policy that the project began with: clause
// 2.2's purposes, with the codes of events.SeedRules.
func Seed() *Catalogue {
	c, err := Parse(seed)
	if err != nil {
		panic(fmt.Sprintf("policy: embedded catalogue: %v", err)) // the embedded file is held by a test
	}
	return c
}

// seedCatalogue is read once: nobody changes it.
var seedCatalogue = sync.OnceValue(Seed)

// seedServes is what the seed names services for.
var seedServes = sync.OnceValue(func() map[string]events.PurposeSet { return serving(nil) })

// seedRules know the seed's purposes and cover nothing.
var seedRules = sync.OnceValue(func() *events.Rules {
	r, err := unite(nil)
	if err == nil {
		r, err = r.InForce(seedCatalogue().ruleList(), nil)
	}
	if err != nil {
		panic(fmt.Sprintf("policy: embedded catalogue: %v", err))
	}
	return r
})
