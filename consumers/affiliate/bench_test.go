package affiliate_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/consumers/affiliate"
	"github.com/kelisim/kelisim/consumers/internal/slots/slotstest"
	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/internal/testenv"
)

func BenchmarkAct(b *testing.B) {
	for _, number := range []int{1, 5, 20} {
		b.Run(fmt.Sprintf("partners=%d", number), func(b *testing.B) {
			client := testenv.Redis(b).Client(b)
			engine := slotstest.NewEngine(client, slotstest.Slots(affiliate.Name, 1)[0])
			var partners []affiliate.Partner
			for n := range number {
				partners = append(partners, affiliate.Partner{
					ID: fmt.Sprintf("partner-%d", n), Country: "KZ", Purposes: []events.Purpose{"contractors"},
					Current: key(b, byte(2*n)), Previous: key(b, byte(2*n+1)),
				})
			}
			action, err := affiliate.New(client, engine.Rules, partners, nil)
			require.NoError(b, err)
			engine.BenchmarkAct(b, action, affiliate.Purposes(), client)
		})
	}
}

func BenchmarkPseudonym(b *testing.B) {
	k, s := key(b, 1), slotstest.Subject(1)
	b.ReportAllocs()
	for b.Loop() {
		_ = k.Pseudonym(s)
	}
}
