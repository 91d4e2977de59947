package marketing_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/consumers/internal/slots/slotstest"
	"github.com/kelisim/kelisim/consumers/marketing"
	"github.com/kelisim/kelisim/internal/testenv"
)

func BenchmarkAct(b *testing.B) {
	for _, number := range []int{0, 20, 200} {
		b.Run(fmt.Sprintf("campaigns=%d", number), func(b *testing.B) {
			server := testenv.Redis(b)
			client, team := server.Client(b), server.Client(b)
			slotstest.KeepFresh(team)
			all := slotstest.Slots(marketing.Name, 1)
			engine := slotstest.NewEngine(client, all[0])
			desk, err := marketing.Open(team, all)
			require.NoError(b, err)
			people := slotstest.Subjects(10_000)
			for n := range number {
				name := fmt.Sprintf("campaign-%d", n)
				require.NoError(b, desk.Register(b.Context(), name, marketing.Purposes()[n%4]))
				_, err := desk.Admit(b.Context(), name, people...)
				require.NoError(b, err)
			}
			action, err := marketing.New(client, engine.Rules, nil)
			require.NoError(b, err)
			engine.BenchmarkAct(b, action, marketing.Purposes(), client)
		})
	}
}
