package cekafka

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/cloudevents/sdk-go/v2/binding"
	"github.com/cloudevents/sdk-go/v2/binding/format"
	"github.com/cloudevents/sdk-go/v2/binding/spec"
	"github.com/cloudevents/sdk-go/v2/types"
	"github.com/segmentio/kafka-go"
)

// WriteMessage fills record with the event in m: headers and value. It keeps
// everything else of the record: topic, time, headers that are not CloudEvents,
// and the key if there is one (see [WithKey] and [WithKeyMapper]). Binary mode
// is written unless m is structured already or binding.WithForceStructured asks
// for it. It does not finish m. After an error the record is as it was.
func WriteMessage(ctx context.Context, m binding.Message, record *kafka.Message, transformers ...binding.Transformer) error {
	w := &writer{out: *record}
	if _, err := binding.Write(ctx, m, w, w, transformers...); err != nil {
		return fmt.Errorf("write CloudEvent as Kafka message: %w", err)
	}
	if err := mapKey(ctx, &w.out); err != nil {
		return fmt.Errorf("map key of CloudEvent: %w", err)
	}
	*record = w.out
	return nil
}

// writer builds a message in either mode.
type writer struct{ out kafka.Message }

var (
	_ binding.StructuredWriter = (*writer)(nil)
	_ binding.BinaryWriter     = (*writer)(nil)
)

// attributesUsually saves growing the headers: eight standard attributes and a
// few extensions.
const attributesUsually = 12

// reset forgets an event that the record held before.
func (w *writer) reset() {
	kept := make([]kafka.Header, 0, len(w.out.Headers)+attributesUsually)
	for _, h := range w.out.Headers {
		if _, ours := AttributeName(h.Key); !ours {
			kept = append(kept, h)
		}
	}
	w.out.Headers, w.out.Value = kept, nil
}

func (w *writer) SetStructuredEvent(_ context.Context, f format.Format, text io.Reader) error {
	if strings.HasPrefix(f.MediaType(), structuredPrefix+"-batch") {
		return malformed(EventFormat, "")
	}
	value, err := io.ReadAll(text)
	if err != nil {
		return fmt.Errorf("read structured event: %w", err)
	}
	w.reset()
	w.out.Value = value
	return w.set(ContentType, f.MediaType())
}

func (w *writer) Start(context.Context) error {
	w.reset()
	return nil
}

func (w *writer) SetAttribute(a spec.Attribute, value any) error {
	if a.Kind() == spec.DataContentType {
		return w.set(ContentType, value)
	}
	return w.set(Prefix+a.Name(), value)
}

func (w *writer) SetExtension(name string, value any) error {
	if name = lower(name); !ValidName(name) {
		return malformed(BadName, name)
	}
	return w.set(Prefix+name, value)
}

func (w *writer) SetData(data io.Reader) (err error) {
	if w.out.Value, err = io.ReadAll(data); err != nil {
		return fmt.Errorf("read data: %w", err)
	}
	return nil
}

func (w *writer) End(context.Context) error { return nil }

// set replaces, adds or, with nil, removes one header.
func (w *writer) set(header string, value any) error {
	at := slices.IndexFunc(w.out.Headers, func(h kafka.Header) bool { return h.Key == header })
	if value == nil {
		if at >= 0 {
			w.out.Headers = slices.Delete(w.out.Headers, at, at+1)
		}
		return nil
	}
	text, err := types.Format(value)
	if err != nil {
		return malformed(BadValue, strings.TrimPrefix(header, Prefix))
	}
	if !utf8.ValidString(text) {
		return malformed(BadUTF8, strings.TrimPrefix(header, Prefix))
	}
	h := kafka.Header{Key: header, Value: []byte(text)}
	if at >= 0 {
		w.out.Headers[at] = h
	} else {
		w.out.Headers = append(w.out.Headers, h)
	}
	return nil
}
