package recordbatch_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/events/stream/recordbatch"
)

// TestBodyMakesTheSameBatchAsItsParts holds the two ways of adding a record together, null and empty told apart.
func TestBodyMakesTheSameBatchAsItsParts(t *testing.T) {
	records := []struct {
		time       int64
		key, value []byte
		headers    []recordbatch.Header
	}{
		{1_000, []byte("k"), []byte("v"), []recordbatch.Header{{Key: "a", Value: []byte("1")}, {Key: "a"}, {Key: "", Value: []byte{}}}},
		{900, nil, nil, nil},
		{1 << 40, []byte{}, []byte{}, nil},
		{1_001, make([]byte, 200), make([]byte, 70_000), []recordbatch.Header{{Key: string(make([]byte, 300)), Value: make([]byte, 9_000)}}},
	}
	var parts, bodies recordbatch.Encoder
	for _, r := range records {
		var h recordbatch.Headers
		for _, header := range r.headers {
			h = h.Append(header.Key, header.Value)
		}
		require.NoError(t, parts.Add(r.time, r.key, r.value, h))
		body := recordbatch.AppendBody(nil, r.key, r.value, r.headers)
		require.LessOrEqual(t, len(body), recordbatch.BodySize(r.key, r.value, r.headers))
		require.Equal(t, r.key, recordbatch.BodyKey(body))
		require.NoError(t, bodies.AddBody(r.time, body))
	}
	info := recordbatch.Info{Producer: &recordbatch.Producer{ID: 7, Epoch: 1, Sequence: 9}}
	want, err := parts.AppendBatch(nil, info)
	require.NoError(t, err)
	got, err := bodies.AppendBatch(nil, info)
	require.NoError(t, err)
	require.Equal(t, want, got)
}
