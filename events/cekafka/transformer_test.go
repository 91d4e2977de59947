package cekafka_test

import (
	"context"
	"testing"
	"time"

	"github.com/cloudevents/sdk-go/v2/binding"
	"github.com/cloudevents/sdk-go/v2/binding/spec"
	bindingtest "github.com/cloudevents/sdk-go/v2/binding/test"
	"github.com/cloudevents/sdk-go/v2/binding/transformer"
	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/cloudevents/sdk-go/v2/test"
	"github.com/segmentio/kafka-go"
	"github.com/stretchr/testify/require"

	"github.com/kelisim/kelisim/events/cekafka"
)

// transformations is one of each kind that the SDK offers, with its effect.
func transformations(e event.Event) []bindingtest.TransformerTestArgs {
	changed := func(change func(*event.Event)) event.Event {
		c := e.Clone()
		change(&c)
		return c
	}
	at := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	return []bindingtest.TransformerTestArgs{
		{Name: "none", WantEvent: e},
		{
			Name:         "set attribute",
			WantEvent:    changed(func(c *event.Event) { c.SetTime(at) }),
			Transformers: []binding.Transformer{transformer.SetAttribute(spec.Time, func(any) (any, error) { return at, nil })},
		},
		{
			Name:         "delete attribute",
			WantEvent:    changed(func(c *event.Event) { c.SetSubject("") }),
			Transformers: []binding.Transformer{transformer.DeleteAttribute(spec.Subject)},
		},
		{
			Name:         "set extension",
			WantEvent:    changed(func(c *event.Event) { c.SetExtension("partitionkey", "u-1") }),
			Transformers: []binding.Transformer{transformer.AddExtension("partitionkey", "u-1")},
		},
		{
			Name:         "delete extension",
			WantEvent:    changed(func(c *event.Event) { c.SetExtension("exstring", nil) }),
			Transformers: []binding.Transformer{transformer.DeleteExtension("exstring")},
		},
		{
			Name:         "change version",
			WantEvent:    changed(func(c *event.Event) { c.Context = c.Context.AsV03() }),
			Transformers: []binding.Transformer{transformer.Version(spec.V03)},
		},
	}
}

// TestMessagePassesTheSDKTransformerSuite reads our message through the SDK's
// suite for transformers.
func TestMessagePassesTheSDKTransformerSuite(t *testing.T) {
	e := test.ConvertEventExtensionsToString(t, test.FullEvent())
	for name, ctx := range modes(t) {
		t.Run(name, func(t *testing.T) {
			args := transformations(e)
			for i := range args {
				var record kafka.Message
				require.NoError(t, cekafka.WriteMessage(ctx, binding.ToMessage(&e), &record))
				args[i].InputMessage = cekafka.NewMessage(record)
			}
			bindingtest.RunTransformerTests(t, t.Context(), args)
		})
	}
}

// TestWriteMessageTransformsOnce writes through the same transformers.
func TestWriteMessageTransformsOnce(t *testing.T) {
	e := test.ConvertEventExtensionsToString(t, test.FullEvent())
	for name, ctx := range modes(t) {
		for _, args := range transformations(e) {
			t.Run(name+"/"+args.Name, func(t *testing.T) {
				var counter bindingtest.MockTransformer
				var record kafka.Message
				in := e.Clone()
				all := append(args.Transformers, &counter)
				require.NoError(t, cekafka.WriteMessage(ctx, binding.ToMessage(&in), &record, all...))
				bindingtest.AssertTransformerInvokedOneTime(t, &counter)
				got := test.MustToEvent(t, t.Context(), cekafka.NewMessage(record))
				test.AssertEventEquals(t, args.WantEvent, test.ConvertEventExtensionsToString(t, got))
			})
		}
	}
}

func modes(t *testing.T) map[string]context.Context {
	return map[string]context.Context{
		"binary":     binding.WithForceBinary(t.Context()),
		"structured": binding.WithForceStructured(t.Context()),
	}
}
