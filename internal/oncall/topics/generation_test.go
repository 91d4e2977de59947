package topics_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/deploy"
	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/internal/cache"
	"github.com/kelisim/kelisim/internal/oncall/topics"
)

func TestNewGenerationIsRefusedWhileAnythingStandsInItsWay(t *testing.T) {
	admin, wanted := cluster(t, 1)
	events := wanted[0]
	require.Equal(t, deploy.EventsTopic, events.Name)
	before := topics.Before{Generation: 1, Events: events, Wanted: 24, Buckets: 1024, Services: []topics.Standing{
		{Service: "marketing", Stands: make([]cache.Stand, events.Partitions)},
	}}
	for p := range before.Services[0].Stands {
		before.Services[0].Stands[p].Known = true
	}
	plan := func(change func(*topics.Before)) *topics.Generation {
		b := before
		change(&b)
		g, err := topics.PlanGeneration(t.Context(), admin, b)
		require.NoError(t, err)
		return g
	}
	asItIs := func(*topics.Before) {}
	require.Equal(t, []string{"topic consent.events.v1 is missing"}, plan(asItIs).Refused)
	create(t, admin, wanted)

	g := plan(asItIs)
	require.Empty(t, g.Refused)
	require.Equal(t, "consent.events.v1.g2", g.New)
	require.EqualValues(t, 2, g.To)
	require.Len(t, g.Ends, 12)
	require.Equal(t, "1 of 2 subjects; every new partition is fed by one old one", g.Moving)
	require.Contains(t, plan(func(b *topics.Before) { b.Wanted = 16 }).Moving, "nearly all")

	for want, change := range map[string]func(*topics.Before){
		"it has 12 partitions already":               func(b *topics.Before) { b.Wanted = 12 },
		"want 1 to 262144":                           func(b *topics.Before) { b.Wanted = 1 << 20 },
		"3 parked events are open":                   func(b *topics.Before) { b.Open = 3 },
		"targeting has not applied partitions [0 1 ": func(b *topics.Before) { b.Services = []topics.Standing{{Service: "targeting"}} },
	} {
		g := plan(change)
		require.Len(t, g.Refused, 1)
		require.Contains(t, g.Refused[0], want)
	}
	begun := stream.TopicSpec{Name: "consent.events.v1.g2", Partitions: 1, Replicas: 1}
	require.NoError(t, admin.CreateTopics(t.Context(), []stream.TopicSpec{begun}))
	require.Contains(t, plan(asItIs).Refused[0], "is there already")

	one := func(b *topics.Before) { b.Wanted = 1 }
	require.Empty(t, plan(one).Refused, "it goes on with what it created")
	require.False(t, plan(one).Begun)
	for _, begun := range []topics.Standing{{Service: "marketing", Ended: true}, {Service: "marketing", Moved: true}} {
		g := plan(func(b *topics.Before) { b.Wanted, b.Open, b.Services = 1, 3, []topics.Standing{begun} })
		require.Empty(t, g.Refused, "behind a barrier there is only one way")
		require.True(t, g.Begun)
	}
}

func TestEveryGenerationIsNamedAfterTheFirst(t *testing.T) {
	require.Equal(t, "consent.events.v1.g2", topics.NameOf("consent.events.v1", 2))
	require.Equal(t, "consent.events.v1", topics.NameOf("consent.events.v1.g2", 1))
	require.Equal(t, "consent.events.v1.g3", topics.NameOf("consent.events.v1.g2", 3))
}
