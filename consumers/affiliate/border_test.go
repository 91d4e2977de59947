package affiliate_test

import (
	"io/fs"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/consumers/affiliate"
	"github.com/kelisim/kelisim/consumers/internal/slots/slotstest"
	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/policy"
	"github.com/kelisim/kelisim/schemas"
)

// borderPerPartner is a world whose policy has a border of its own for each of
// two partners abroad; a third has the general one.
func borderPerPartner(t *testing.T) *world {
	t.Helper()
	text, err := fs.ReadFile(schemas.FS(), "examples/catalogues/cross-border-per-partner.json")
	require.NoError(t, err)
	catalogue, err := policy.Parse(text)
	require.NoError(t, err)
	client := slotstest.Redis(t)
	w := &world{Engine: slotstest.NewEngine(client, slotstest.Slots(affiliate.Name, 1)[0]), client: client}
	w.publish(t, catalogue)
	contractors := []events.Purpose{"contractors"}
	w.partners = []affiliate.Partner{
		{ID: "nordkino", Country: "NO", Border: "cross-border-nordkino", Purposes: contractors, Current: key(t, 1)},
		{ID: "bosfor", Country: "TR", Border: "cross-border-bosfor", Purposes: contractors, Current: key(t, 2)},
		{ID: "anybody", Country: "DE", Purposes: contractors, Current: key(t, 3)},
	}
	w.start(t)
	return w
}

func TestABorderGrantedToOnePartnerOpensThatPartnerAlone(t *testing.T) {
	w := borderPerPartner(t)
	s := slotstest.Subject(1)
	stopped := []events.Purpose{"cross-border-bosfor", "cross-border"}
	w.Decide(t, s, w.Standing(t, []events.Purpose{"contractors", "cross-border-nordkino"}, stopped))
	w.Drain(t, w.action)
	require.NotEmpty(t, w.share(t, "nordkino", "contractors", s).Pseudonym)
	require.True(t, w.share(t, "bosfor", "contractors", s).Closed)
	require.True(t, w.share(t, "anybody", "contractors", s).Closed)

	w.Decide(t, s, w.Standing(t, []events.Purpose{"contractors", "cross-border"}, []events.Purpose{"cross-border-nordkino", "cross-border-bosfor"}))
	w.Drain(t, w.action)
	require.True(t, w.share(t, "nordkino", "contractors", s).Closed, "the general border is not this partner's")
	require.Len(t, w.due(t, "nordkino"), 1)
	require.NotEmpty(t, w.share(t, "anybody", "contractors", s).Pseudonym)
}

// A border that is granted for the first time changes nothing that is stopped, so
// no action follows: what closed the pseudonym before must have opened it.
func TestABorderGrantedForTheFirstTimeFindsThePseudonymOpen(t *testing.T) {
	w := borderPerPartner(t)
	s := slotstest.Subject(1)
	w.Decide(t, s, w.Standing(t, nil, []events.Purpose{"contractors"}))
	w.Drain(t, w.action)
	require.True(t, w.share(t, "nordkino", "contractors", s).Closed)
	w.Decide(t, s, w.Standing(t, []events.Purpose{"contractors"}, nil))
	w.Drain(t, w.action)
	require.NotEmpty(t, w.share(t, "nordkino", "contractors", s).Pseudonym)
}
