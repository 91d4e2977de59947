package replay_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/cekafka/cesql"
	"github.com/kelisim/kelisim/internal/oncall/exit"
	"github.com/kelisim/kelisim/internal/oncall/replay"
	"github.com/kelisim/kelisim/internal/oncall/window"
	"github.com/kelisim/kelisim/internal/testenv"
)

func TestSelectionsChooseWhoIsReplayed(t *testing.T) {
	testenv.Parallel(t)
	s := newScene(t, 60, 600)
	began := time.Now()
	who := s.people[0]
	at := s.decide(who, events.Blocked)
	s.decide(s.people[1], events.Withdrawn, "research")
	s.settle()
	for _, name := range services {
		for _, p := range s.people {
			s.damage(name, p, "")
		}
	}
	filter := func(text string) *cesql.Filter {
		f, err := replay.ParseFilter(text)
		require.NoError(t, err)
		return f
	}
	everything := len(s.plan(replay.Selection{}, replay.Wish{}).Mends)
	require.Equal(t, 2*len(s.people), everything)
	for name, c := range map[string]struct {
		sel  replay.Selection
		want int
	}{
		"a subject":   {replay.Selection{Window: window.Window{Subject: who}}, 2},
		"offsets":     {replay.Selection{Window: window.Window{Partitions: []int32{at.Partition}, From: at.Offset, To: at.Offset + 1}}, 2},
		"a type":      {replay.Selection{Types: []events.Type{events.Blocked}, Window: window.Window{Since: began}}, 2},
		"a source":    {replay.Selection{Sources: []string{"/told"}, Types: []events.Type{events.Blocked}}, 2},
		"a filter":    {replay.Selection{Filter: filter("type = '" + events.Blocked.String() + "' AND source LIKE '/to%'")}, 2},
		"a partition": {replay.Selection{Window: window.Window{Partitions: []int32{0, 1, 2, 3}}}, everything},
	} {
		p := s.plan(c.sel, replay.Wish{})
		require.Len(t, p.Mends, c.want, name)
		if c.want == 2 {
			_, err := s.apply(p, two)
			require.NoError(t, err, name)
			s.damage("marketing", who, "")
			s.damage("targeting", who, "")
		}
	}
	for _, nothing := range []replay.Selection{{Sources: []string{"/tolds"}}, {Filter: filter("source = '/nobody'")}} {
		_, err := s.bench.NewPlan(t.Context(), nothing, replay.Wish{})
		require.ErrorContains(t, err, "nothing of the log is selected")
		require.Equal(t, exit.Usage, exit.Code(err))
	}
	for text, w := range map[string]window.Window{
		"nothing of the log is selected": {Until: began.Add(-24 * time.Hour)},
		"offsets are of one partition":   {From: 1},
		"has none of that number":        {Partitions: []int32{9}},
		"the subject's events are in":    {Subject: who, Partitions: []int32{(at.Partition + 1) % partitions}},
	} {
		_, err := s.bench.NewPlan(t.Context(), replay.Selection{Window: w}, replay.Wish{})
		require.ErrorContains(t, err, text)
		require.Equal(t, exit.Usage, exit.Code(err))
	}
}

// The plan says whom it chose, and names nobody.
func TestPlanNamesItsFilterAndNobody(t *testing.T) {
	testenv.Parallel(t)
	s := newScene(t, 20, 100)
	s.decide(s.people[0], events.Blocked)
	s.settle()
	f, err := replay.ParseFilter(`type LIKE '%block%' OR source = "subject's \"app\""`)
	require.NoError(t, err)
	p := s.plan(replay.Selection{Filter: f, Sources: []string{"/told"}}, replay.Wish{})
	require.Equal(t, f.String(), p.Filter)
	require.Equal(t, []string{"/told"}, p.Sources)
	var text strings.Builder
	p.Text(&text)
	require.Contains(t, text.String(), ", from /told, where type LIKE '%block%'")
	for _, named := range []string{"subject = 's-1'", "EXISTS partitionkey", "LEFT(Subject, 1) = 's'"} {
		_, err := replay.ParseFilter(named)
		require.ErrorContains(t, err, "names nobody", named)
	}
	_, err = replay.ParseFilter("source =")
	require.Error(t, err)
}
