package cekafka

import (
	"bytes"
	"context"
	"mime"
	"strings"
	"sync"

	"github.com/cloudevents/sdk-go/v2/binding"
	"github.com/cloudevents/sdk-go/v2/binding/format"
	"github.com/cloudevents/sdk-go/v2/binding/spec"
	"github.com/segmentio/kafka-go"
)

// Message is a Kafka message as the CloudEvents SDK reads it. It may be read
// any number of times, also from several goroutines. It keeps the bytes of the
// Kafka message and copies none: they must not change while it is in use.
type Message struct {
	record   kafka.Message
	encoding binding.Encoding
	version  spec.Version  // of a valid binary message, else nil
	attrs    []attribute   // of a valid binary message
	format   format.Format // of a structured message
	refusal  error         // why a message that claims to be an event is none

	once     sync.Once
	finish   func(error) error // nil when nobody waits for the end
	finished error
}

var (
	_ binding.Message               = (*Message)(nil)
	_ binding.MessageMetadataReader = (*Message)(nil)
)

// NewMessage wraps a Kafka message. It never fails: a record that is no
// CloudEvent has [binding.EncodingUnknown], and one that is malformed says so
// when it is read, with an error for which errors.Is(err, [ErrMalformed]) holds.
func NewMessage(record kafka.Message) *Message {
	m := &Message{record: record, encoding: binding.EncodingUnknown}
	ct, err := contentType(record.Headers)
	switch {
	case err != nil:
		m.encoding, m.refusal = binding.EncodingBinary, err
	case IsStructured(string(ct)):
		m.openStructured(string(ct))
	default:
		m.openBinary()
	}
	return m
}

func (m *Message) openStructured(contentType string) {
	media, params, err := mime.ParseMediaType(contentType)
	if err != nil || strings.HasPrefix(media, structuredPrefix+"-batch") {
		return // EncodingUnknown: the binding has no batches
	}
	if m.format = format.Lookup(media); m.format == nil {
		return
	}
	m.encoding = binding.EncodingStructured
	if charset, ok := params["charset"]; ok && !strings.EqualFold(charset, "utf-8") {
		m.refusal = malformed(Charset, "")
	}
}

func (m *Message) openBinary() {
	attrs, err := attributes(m.record.Headers)
	if err != nil {
		m.encoding, m.refusal = binding.EncodingBinary, err
		return
	}
	at := find(attrs, "specversion")
	if at < 0 {
		return // EncodingUnknown: some other message
	}
	m.encoding = binding.EncodingBinary
	if m.version = spec.VS.Version(string(attrs[at].value)); m.version == nil {
		m.refusal = malformed(SpecVersion, "specversion")
		return
	}
	// First of all, because what the others mean depends on it.
	attrs[0], attrs[at] = attrs[at], attrs[0]
	m.attrs = attrs
}

// Record returns the Kafka message, with its key, partition and offset.
func (m *Message) Record() kafka.Message { return m.record }

// ReadEncoding implements [binding.MessageReader].
func (m *Message) ReadEncoding() binding.Encoding { return m.encoding }

// ReadStructured implements [binding.MessageReader]. JSON is checked before it
// is handed on, because the SDK's own parser takes the last of two members of
// one name and panics on some texts, such as a data_base64 that is a number.
func (m *Message) ReadStructured(ctx context.Context, w binding.StructuredWriter) error {
	if m.encoding != binding.EncodingStructured {
		return binding.ErrNotStructured
	}
	if m.refusal != nil {
		return m.refusal
	}
	if m.format == format.JSON {
		if err := checkJSON(m.record.Value); err != nil {
			return err
		}
	}
	return w.SetStructuredEvent(ctx, m.format, bytes.NewReader(m.record.Value))
}

// ReadBinary implements [binding.MessageReader].
func (m *Message) ReadBinary(_ context.Context, w binding.BinaryWriter) error {
	if m.encoding != binding.EncodingBinary {
		return binding.ErrNotBinary
	}
	if m.refusal != nil {
		return m.refusal
	}
	for _, a := range m.attrs {
		var err error
		if standard := m.version.Attribute(a.name); standard != nil {
			err = w.SetAttribute(standard, string(a.value))
		} else {
			err = w.SetExtension(a.name, string(a.value))
		}
		if err != nil {
			return err
		}
	}
	if len(m.record.Value) == 0 {
		return nil
	}
	return w.SetData(bytes.NewReader(m.record.Value))
}

// GetAttribute implements [binding.MessageMetadataReader] for binary messages.
// Values are strings in their canonical form.
func (m *Message) GetAttribute(kind spec.Kind) (spec.Attribute, any) {
	if m.version == nil {
		return nil, nil
	}
	standard := m.version.AttributeFromKind(kind)
	if standard == nil {
		return nil, nil
	}
	if at := find(m.attrs, standard.Name()); at >= 0 {
		return standard, string(m.attrs[at].value)
	}
	return standard, nil
}

// GetExtension implements [binding.MessageMetadataReader] for binary messages.
func (m *Message) GetExtension(name string) any {
	name = lower(name)
	at := find(m.attrs, name)
	if at < 0 || m.version.Attribute(name) != nil {
		return nil
	}
	return string(m.attrs[at].value)
}

// Finish implements [binding.Message]. The first call counts; on a message of a
// [Receiver] an acknowledgement commits it.
func (m *Message) Finish(result error) error {
	if m.finish == nil {
		return nil
	}
	m.once.Do(func() { m.finished = m.finish(result) })
	return m.finished
}
