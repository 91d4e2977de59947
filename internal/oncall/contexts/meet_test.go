package contexts_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/internal/oncall/contexts"
)

func TestAServerIsTheSameUnderEachOfItsNames(t *testing.T) {
	for other, want := range map[string]bool{
		"127.0.0.1:9092": true, "localhost:9092": true, "LOCALHOST:9092": true, "[::1]:9092": true,
		"127.0.0.1:9093": false, "nowhere.invalid:9092": false, "": false,
	} {
		require.Equal(t, want, contexts.Meet(t.Context(), []string{"k1.invalid:9092", "localhost:9092"}, []string{other}), other)
	}
	require.False(t, contexts.Meet(t.Context(), nil, []string{"localhost:9092"}))
}
