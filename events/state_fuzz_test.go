package events

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzParseState throws bytes at the stored form. Whatever they are, nothing
// panics; what is refused denies everything; what is read is read back as it
// was, and events can go on from it to states that are readable again.
func FuzzParseState(f *testing.F) {
	r := SeedRules()
	for seed := range uint64(40) {
		log := honest.history(seededDraws{rand.New(rand.NewPCG(seed, 2))})
		f.Add(foldLog(r, log, nil).Bytes())
	}
	full := told(Granted, "web", "1", ^PurposeSet(0), 0, 1_000, 1_001)
	s, _ := r.Apply(State{}, full)
	f.Add(s.Bytes())
	f.Add([]byte{})
	f.Add([]byte("\x00\x00\x00\x00\x00\x05\x01\x01\x00"))
	f.Fuzz(func(t *testing.T, stored []byte) {
		s, err := ParseState(stored)
		if err != nil {
			require.ErrorIs(t, err, ErrState)
			require.True(t, s.IsZero())
			require.Equal(t, Standing{}, r.Standing(s))
			return
		}
		require.Equal(t, stored, append([]byte{}, s.Bytes()...))
		version, _ := s.Version()
		for i, typ := range Types() {
			e := told(typ, "fuzz", typ.String(), pool, version.Offset+int64(i)+1, 5_000, 5_001)
			e.Logged.Position.Generation, e.Logged.Position.Partition = version.Generation, version.Partition
			e.Policy, e.Request = "1", Ref{"fuzz", WithdrawalRequested.String()}
			for _, p := range r.Names(r.All()) {
				require.Equal(t, r.Standing(s).Allowed.Has(r.byName[p]), r.Decide(s, p).Allowed)
			}
			var out Outcome
			if s, out = r.Apply(s, e); out.Changed {
				back, err := ParseState(s.Bytes())
				require.NoError(t, err)
				require.Equal(t, s, back)
			}
			if e.Type == Withdrawn && out.Verdict == Applied {
				require.Zero(t, r.Standing(s).Allowed&pool, "withdrawn from hostile bytes")
			}
		}
	})
}
