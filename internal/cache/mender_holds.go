package cache

import (
	"context"
	"fmt"
	"strings"

	"github.com/kelisim/kelisim/events"
)

// Holding says which events hold a subject. The zero Holding says none.
type Holding struct {
	By       []events.Position // hold
	Released []events.Position // held once, and never again
	Overflow bool              // more than are kept: released by releasing the zero position
}

// Holding reads which events hold a subject. What cannot be read counts as
// overflow: it holds, and nobody knows why.
func (m *Mender) Holding(ctx context.Context, s events.Subject) (Holding, error) {
	if s.IsZero() {
		return Holding{}, nil
	}
	key := m.layout.Prefix(m.layout.PartitionOf(s)) + heldName
	text, err := m.redis.client.HGet(ctx, key, s.Reveal()).Result()
	if err = classify(err); err != nil {
		return Holding{}, fmt.Errorf("holds of %v in %s: %w", s, m.layout.Service, err)
	}
	var h Holding
	for entry := range strings.FieldsSeq(text) {
		bare, released := strings.CutPrefix(entry, "-")
		at, err := events.ParsePosition(bare)
		switch {
		case err != nil:
			h.Overflow = h.Overflow || !released
		case released:
			h.Released = append(h.Released, at)
		default:
			h.By = append(h.By, at)
		}
	}
	return h, nil
}

// Hold is that of [Store]: it restricts a subject because of an event.
func (m *Mender) Hold(ctx context.Context, s events.Subject, at events.Position) error {
	return m.redis.Hold(ctx, s, at)
}

// Release is that of [Store]: it lifts what an event holds, for good.
func (m *Mender) Release(ctx context.Context, s events.Subject, at events.Position) error {
	return m.redis.Release(ctx, s, at)
}
