package exit

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCodesAreStable(t *testing.T) {
	cause := errors.New("because")
	for want, err := range map[int]error{
		0: nil, 1: cause, 2: Misused("%w", cause), 3: ErrFindings, 4: Refuse("%w", cause),
		5: &PartlyError{Err: cause, Resume: "say it again"}, 130: context.Canceled,
	} {
		require.Equal(t, want, Code(err))
		if err != nil {
			require.Equal(t, want, Code(fmt.Errorf("outside: %w", err)), "wrapped")
		}
	}
}

func TestWhatCanGoOnSaysSoThoughASignalStoppedIt(t *testing.T) {
	err := &PartlyError{Err: context.Canceled, Resume: "consentctl replay --resume x"}
	require.Equal(t, Partly, Code(err))
	require.EqualError(t, err, "partly done: context canceled; to go on: consentctl replay --resume x")
}

func TestRefusalsNameTheRule(t *testing.T) {
	require.EqualError(t, Refuse("group %s is live", "x"), "refused: group x is live")
	require.Equal(t, Refused, Code(errors.Join(errors.New("other"), Refuse("x"))))
}
