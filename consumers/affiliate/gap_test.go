package affiliate_test

import (
	"context"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/consumers/affiliate"
	"github.com/kelisim/kelisim/consumers/internal/slots/slotstest"
	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/policy"
	"github.com/kelisim/kelisim/internal/cache"
	"github.com/kelisim/kelisim/internal/testpolicy"
)

// publish has the service go by these versions, and write them down for desks.
func (w *world) publish(t slotstest.T, versions ...*policy.Catalogue) *policy.Book {
	t.Helper()
	book := w.GoBy(t, affiliate.Name, versions...)
	text, err := book.JSON()
	require.NoError(t, err)
	layout := cache.Layout{Service: affiliate.Name, Topic: "events", Generation: 1, Partitions: 1, Buckets: 1}
	store, err := cache.NewRedis(ctx(), w.client, layout, nil)
	require.NoError(t, err)
	require.NoError(t, store.Publish(ctx(), cache.Policies{Revision: book.Revision(), Grown: book.Grown(), Catalogues: string(text)}))
	return book
}

// loyal is a world whose partners are named for what the seed does not have: one for
// loyalty, and one abroad behind a border of its own.
func loyal(t *testing.T) *world {
	t.Helper()
	client := slotstest.Redis(t)
	w := &world{Engine: slotstest.NewEngine(client, slotstest.Slots(affiliate.Name, 1)[0]), client: client}
	w.partners = []affiliate.Partner{
		{ID: "airline", Country: "KZ", Purposes: []events.Purpose{"contractors", "loyalty"}, Current: key(t, 1)},
		{ID: "nordkino", Country: "NO", Border: "cross-border-nordkino", Purposes: []events.Purpose{"contractors"}, Current: key(t, 2)},
		{ID: "helpers", Country: "KZ", Purposes: []events.Purpose{"contractors"}, Current: key(t, 3)},
	}
	w.start(t)
	return w
}

// more is the seed with loyalty and nordkino's border, for the given services.
func more(t *testing.T, name events.PolicyVersion, services ...string) *policy.Catalogue {
	return testpolicy.Version(t, name, time.Now(), func(c *policy.Catalogue) {
		loyalty, border := c.Purposes[1], c.Purposes[12]
		loyalty.Code, loyalty.Name, loyalty.Services = 20, "loyalty", services
		border.Code, border.Name, border.Services = 21, "cross-border-nordkino", services
		c.Purposes = append(c.Purposes, loyalty, border)
	})
}

func TestWhatNoVersionNamesAffiliateForIsSharedWithNobody(t *testing.T) {
	w := loyal(t)
	s := slotstest.Subject(1)
	refused := func(why string) {
		t.Helper()
		_, err := w.desk.Share(ctx(), "airline", "loyalty", s)
		require.ErrorIs(t, err, affiliate.ErrUnserved, why)
		require.NotContains(t, err.Error(), s.Reveal())
		_, err = w.desk.Share(ctx(), "nordkino", "contractors", s)
		require.ErrorIs(t, err, affiliate.ErrUnserved, why)
		require.ErrorContains(t, err, `border "cross-border-nordkino"`)
		require.NotEmpty(t, w.share(t, "airline", "contractors", s).Pseudonym, why)
	}
	refused("nothing is published")
	w.publish(t, testpolicy.Seed(t))
	refused("no version has them")
	w.publish(t, more(t, "two"))
	refused("a version has them, and names nobody")
	w.publish(t, more(t, "two", "marketing"))
	refused("another service's")

	w.publish(t, more(t, "two", "affiliate"))
	require.NotEmpty(t, w.share(t, "airline", "loyalty", s).Pseudonym)
	require.NotEmpty(t, w.share(t, "nordkino", "contractors", s).Pseudonym)
	_, err := w.desk.Share(ctx(), "helpers", "loyalty", s)
	require.ErrorIs(t, err, affiliate.ErrPurpose, "its entry does not name it")
	require.NoError(t, w.client.Del(ctx(), "consent:{affiliate}:policy").Err())
	require.NotEmpty(t, w.share(t, "airline", "loyalty", s).Pseudonym, "what was named stays")
}

// The version is written down, and the service has not begun to act on everybody by it.
func TestUntilASlotIsSweptByTheVersionThatNamesThePurposeEverybodyIsInDoubt(t *testing.T) {
	w := loyal(t)
	s, seed, second := slotstest.Subject(1), testpolicy.Seed(t), more(t, "two", "affiliate")
	sweep := func(book *policy.Book, bucket string) {
		mark := book.Edition(time.Now()).Mark() + bucket
		require.NoError(t, w.client.HSet(ctx(), w.Slot.Prefix+"pos", "swept", mark).Err())
	}
	sweep(w.publish(t, seed), "")
	require.NotEmpty(t, w.share(t, "airline", "contractors", s).Pseudonym)
	book := w.publish(t, seed, second)
	require.Equal(t, affiliate.Share{Subject: s, Doubted: true}, w.share(t, "airline", "loyalty", s))
	sweep(book, "?16")
	require.Equal(t, affiliate.Share{Subject: s, Doubted: true}, w.share(t, "airline", "loyalty", s))
	sweep(book, "")
	require.NotEmpty(t, w.share(t, "airline", "loyalty", s).Pseudonym)

	third := testpolicy.Version(t, "zzz", time.Now(), func(c *policy.Catalogue) { *c = *second; c.Version = "zzz" })
	sweep(w.publish(t, seed, second, third), "")
	require.NotEmpty(t, w.share(t, "airline", "loyalty", s).Pseudonym, "a later version has it too")
}

func TestWhereThePolicyCannotBeReadNothingNewIsShared(t *testing.T) {
	w := loyal(t)
	w.publish(t, more(t, "two", "affiliate"))
	w.client.AddHook(new(unreadable))
	_, err := w.desk.Share(ctx(), "airline", "loyalty", slotstest.Subject(1))
	require.ErrorContains(t, err, "policies of affiliate")
}

// unreadable is a client hook that takes the policy away.
type unreadable struct{ slotstest.Freshness }

func (*unreadable) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(c context.Context, cmd redis.Cmder) error {
		if cmd.Name() == "hgetall" {
			return slotstest.ErrBroken
		}
		return next(c, cmd)
	}
}

func TestGapsSayWhatThePolicyHasNotForWhom(t *testing.T) {
	w := loyal(t)
	says := func(book *policy.Book) (all []string) {
		for _, gap := range affiliate.Gaps(book, w.partners) {
			all = append(all, gap.Error())
		}
		return all
	}
	both := []string{
		`partner airline is given nothing for "loyalty": purpose: no version of the policy names affiliate for it`,
		`partner nordkino is given nothing for "contractors": border "cross-border-nordkino": no version of the policy names affiliate for it`,
	}
	require.Equal(t, both, says(new(policy.Book)))
	require.Equal(t, both, says(w.publish(t, more(t, "two", "marketing"))))
	require.Empty(t, says(w.publish(t, more(t, "two", "affiliate"))))
}

// What the law opens no withdrawal would close.
func TestABorderThatNeverRestedOnConsentIsNone(t *testing.T) {
	w := loyal(t)
	lawful := more(t, "two", "affiliate")
	border := &lawful.Purposes[len(lawful.Purposes)-1]
	border.Basis, border.Withdrawable = events.Law, events.No
	require.Len(t, affiliate.Gaps(w.publish(t, lawful), w.partners), 1)
	_, err := w.desk.Share(ctx(), "nordkino", "contractors", slotstest.Subject(1))
	require.ErrorContains(t, err, `border "cross-border-nordkino" rests on law: want consent`)
}

func TestOnlyPartnersWhoseEntriesNameThePurposeAreToldOfIt(t *testing.T) {
	w := loyal(t)
	w.publish(t, more(t, "two", "affiliate"))
	s := slotstest.Subject(1)
	w.Decide(t, s, w.Standing(t, []events.Purpose{"contractors"}, []events.Purpose{"loyalty"}))
	w.Drain(t, w.action)
	require.True(t, w.share(t, "airline", "loyalty", s).Closed)
	require.NotEmpty(t, w.share(t, "airline", "contractors", s).Pseudonym)
	stops := w.due(t, "airline")
	require.Len(t, stops, 1)
	require.Equal(t, []events.Purpose{"loyalty"}, stops[0].Purposes)
	require.Empty(t, w.due(t, "nordkino"))
	require.Empty(t, w.due(t, "helpers"))
}

// The service is restarted, and the topic of policies is one of before.
func TestAnOlderPolicyOpensNothingThatANewerOneClosed(t *testing.T) {
	w := loyal(t)
	w.publish(t, more(t, "two", "affiliate"))
	s := slotstest.Subject(1)
	w.Decide(t, s, w.Standing(t, nil, []events.Purpose{"loyalty"}))
	w.Drain(t, w.action)
	require.Equal(t, affiliate.Acted{Turns: 1, Closed: 1, Queued: 1}, w.acted)

	w.publish(t, testpolicy.Seed(t))
	w.start(t)
	w.Decide(t, s, w.Standing(t, []events.Purpose{"contractors"}, nil))
	w.Drain(t, w.action)
	_, err := w.desk.Share(ctx(), "airline", "loyalty", s)
	require.ErrorIs(t, err, affiliate.ErrUnserved)
	require.Len(t, w.due(t, "airline"), 1, "what was queued stays")

	w.publish(t, more(t, "two", "affiliate"))
	require.True(t, w.share(t, "airline", "loyalty", s).Closed)
}
