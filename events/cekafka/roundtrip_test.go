package cekafka_test

import (
	"context"
	"testing"

	"github.com/cloudevents/sdk-go/v2/binding"
	"github.com/cloudevents/sdk-go/v2/binding/buffering"
	bindingtest "github.com/cloudevents/sdk-go/v2/binding/test"
	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/cloudevents/sdk-go/v2/test"
	"github.com/segmentio/kafka-go"
	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/events/cekafka"
)

// TestEverySDKTestEventSurvivesTheRoundTrip runs the SDK's own test events, of
// both specification versions, through every way into a Kafka message.
func TestEverySDKTestEventSurvivesTheRoundTrip(t *testing.T) {
	plain := t.Context()
	ways := []struct {
		name string
		ctx  context.Context
		in   func(testing.TB, event.Event) binding.Message
		want binding.Encoding
	}{
		{"event to binary", plain, asEvent, binding.EncodingBinary},
		{"event to structured", binding.WithForceStructured(plain), asEvent, binding.EncodingStructured},
		{"binary to binary", plain, asBinary, binding.EncodingBinary},
		{"binary to structured", binding.WithForceStructured(plain), asBinary, binding.EncodingStructured},
		{"structured to structured", plain, asStructured, binding.EncodingStructured},
		{"structured to binary", binding.WithForceBinary(plain), asStructured, binding.EncodingBinary},
	}
	for _, way := range ways {
		t.Run(way.name, func(t *testing.T) {
			test.EachEvent(t, test.Events(), func(t *testing.T, e event.Event) {
				want := test.ConvertEventExtensionsToString(t, e)
				var record kafka.Message
				require.NoError(t, cekafka.WriteMessage(way.ctx, way.in(t, want.Clone()), &record))

				m := cekafka.NewMessage(record)
				require.Equal(t, way.want, m.ReadEncoding())
				for range 2 { // a message can be read more than once
					got := test.ConvertEventExtensionsToString(t, test.MustToEvent(t, plain, m))
					test.AssertEventEquals(t, want, got)
				}
			})
		})
	}
}

// TestMessageSurvivesBuffering goes through the SDK's buffering, which uses the
// message in all its roles.
func TestMessageSurvivesBuffering(t *testing.T) {
	for _, ctx := range []context.Context{t.Context(), binding.WithForceStructured(t.Context())} {
		test.EachEvent(t, test.Events(), func(t *testing.T, e event.Event) {
			want := test.ConvertEventExtensionsToString(t, e)
			var record kafka.Message
			require.NoError(t, cekafka.WriteMessage(ctx, binding.ToMessage(&want), &record))
			m := cekafka.NewMessage(record)
			buffered, err := buffering.BufferMessage(t.Context(), m)
			require.NoError(t, err)
			require.Equal(t, m.ReadEncoding(), buffered.ReadEncoding())
			got := test.ConvertEventExtensionsToString(t, test.MustToEvent(t, t.Context(), buffered))
			test.AssertEventEquals(t, want, got)
			require.NoError(t, buffered.Finish(nil))
		})
	}
}

func asEvent(_ testing.TB, e event.Event) binding.Message { return binding.ToMessage(&e) }

func asBinary(_ testing.TB, e event.Event) binding.Message {
	return bindingtest.MustCreateMockBinaryMessage(e)
}

func asStructured(t testing.TB, e event.Event) binding.Message {
	return bindingtest.MustCreateMockStructuredMessage(t, e)
}
