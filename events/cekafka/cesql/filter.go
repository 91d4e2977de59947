// Package cesql picks Kafka records by the CloudEvents SQL expression language
// (CESQL 1.0), as in
//
//	type = 'io.kelisim.consent.withdrawn.v1' AND source LIKE '/app/%'
//
// It stands below package cekafka because it speaks the SDK, and beside it because
// a binding needs no parser of expressions.
package cesql

import (
	"context"
	"fmt"
	"iter"

	sql "github.com/cloudevents/sdk-go/sql/v2"
	sqlerrors "github.com/cloudevents/sdk-go/sql/v2/errors"
	"github.com/cloudevents/sdk-go/sql/v2/parser"
	"github.com/cloudevents/sdk-go/v2/binding"
	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/segmentio/kafka-go"

	"github.com/kelisim/kelisim/events/cekafka"
)

// Filter is an expression. It may be used by many goroutines.
type Filter struct {
	text       string
	expression sql.Expression
}

// String returns the expression as it was written.
func (f *Filter) String() string { return f.text }

// Parse reads an expression.
func Parse(text string) (f *Filter, err error) {
	defer func() {
		if recover() != nil { // the SDK's parser panics over expressions that end too early
			f, err = nil, fmt.Errorf("CESQL: %q is no whole expression", text)
		}
	}()
	e, err := parser.Parse(text)
	if err == nil {
		if _, tried := e.Evaluate(event.New()); sqlerrors.IsMissingFunctionError(tried) { // found out only then
			err = tried
		}
	}
	if err != nil {
		return nil, fmt.Errorf("CESQL: %w", err)
	}
	return &Filter{text, e}, nil
}

// Match says whether the expression is true of the event in a record. It is not
// true of a record that is no CloudEvent, nor where it cannot be evaluated: an
// attribute is missing, or is of another type.
func (f *Filter) Match(headers iter.Seq2[[]byte, []byte], value []byte) bool {
	record := kafka.Message{Value: value}
	for key, value := range headers {
		record.Headers = append(record.Headers, kafka.Header{Key: string(key), Value: value})
	}
	message := cekafka.NewMessage(record)
	if message.ReadEncoding() == binding.EncodingUnknown {
		return false
	}
	e, err := binding.ToEvent(context.Background(), message)
	if err != nil {
		return false
	}
	answer, err := f.expression.Evaluate(*e)
	is, ok := answer.(bool)
	return err == nil && ok && is
}
