//go:build real

package marketing_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/consumers"
	"github.com/kelisim/kelisim/consumers/internal/slots/slotstest"
	"github.com/kelisim/kelisim/consumers/marketing"
	"github.com/kelisim/kelisim/internal/testenv"
)

// The rules are those that docs/services.md gives.
func TestTeamsOwnUserWorksAndCannotLiftASuppression(t *testing.T) {
	server := testenv.Redis(t)
	w := newWorld(t, slotstest.Client(t, server))
	docs, err := os.ReadFile("../../docs/services.md")
	require.NoError(t, err)
	_, rules, found := strings.Cut(string(docs), "```\nACL SETUSER")
	require.True(t, found)
	rules, _, _ = strings.Cut(rules, "```")
	setUser := []any{"ACL", "SETUSER"}
	for word := range strings.FieldsSeq(rules) {
		setUser = append(setUser, word)
	}
	require.NoError(t, w.client.Do(ctx(), setUser...).Err())
	team := redis.NewClient(&redis.Options{Addr: server.Addr(), Username: "marketing-team", Password: "secret", DisableIdentity: true})
	t.Cleanup(func() { _ = team.Close() })
	desk, err := marketing.Open(team, []consumers.Slot{w.Slot})
	require.NoError(t, err)

	said, silent := slotstest.Subject(1), slotstest.Subject(2)
	w.refuses(t, said)
	w.Drain(t, w.action)
	require.NoError(t, desk.Register(ctx(), "quiz-2", "contests"))
	require.ErrorContains(t, desk.Register(ctx(), "quiz-3", "telepathy"), "is not marketing's", "it reads what the policy names marketing for")
	got, err := desk.Admit(ctx(), "quiz-2", said, silent)
	require.NoError(t, err)
	require.Equal(t, marketing.Admission{Added: 1, Suppressed: 1}, got)
	_, err = desk.Schedule(ctx(), "quiz-2", time.UnixMilli(0), silent)
	require.NoError(t, err)
	taken, err := desk.Take(ctx(), 0, "quiz-2", time.UnixMilli(1), 1)
	require.NoError(t, err)
	require.Len(t, taken, 1)
	_, err = desk.Member(ctx(), "quiz-2", said)
	require.NoError(t, err)
	require.NoError(t, desk.Remove(ctx(), "quiz-2"))
	_, err = desk.Campaigns(ctx())
	require.NoError(t, err)

	for _, name := range []string{"suppressed:contests", "outbox", "pos", "acted", "s:0"} {
		require.ErrorContains(t, team.Unlink(ctx(), w.Slot.Prefix+name).Err(), "NOPERM", name)
	}
	lift := "return redis.call('SREM', KEYS[1] .. 'suppressed:contests', ARGV[1])"
	require.ErrorContains(t, team.Eval(ctx(), lift, []string{w.Slot.Prefix}, said.Reveal()).Err(), "can't access")
}
