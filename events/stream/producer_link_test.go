package stream

import (
	"bytes"
	"io"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestAbandonedRequestIsNeverWritten: the transport may hand a request to a connection just when its caller gives up.
// What was reported as not sent must not leave then, and what left must not be reported so.
func TestAbandonedRequestIsNeverWritten(t *testing.T) {
	newCall := func() *produceCall {
		call := &produceCall{version: 8}
		call.request.Acks = acksAll
		return call
	}
	var wire bytes.Buffer
	conn := struct {
		io.Reader
		io.Writer
	}{new(bytes.Buffer), &wire}
	call := newCall()
	require.True(t, call.abandon())
	_, err := call.RawExchange(conn)
	require.Error(t, err)
	require.Zero(t, wire.Len())

	call = newCall()
	_, err = call.RawExchange(conn)
	require.Error(t, err, "nobody answers")
	require.Positive(t, wire.Len())
	require.False(t, call.abandon())
}
