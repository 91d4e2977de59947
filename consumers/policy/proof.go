package policy

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/kelisim/kelisim/consumers"
	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/stream"
)

// ProofType is the CloudEvents type of a [Proof]. It stands among the receipts.
const ProofType = "io.kelisim.erasure.proof.v1"

// Proof says that a subject was erased, to whoever holds the key and its id, and
// nothing to anybody else. When each service removed it say the receipts; see
// [Proof.RemovedBy].
type Proof struct {
	Service string          `json:"service"`
	Hash    string          `json:"hash"`   // of the subject, under the service's key
	Erased  events.Position `json:"-"`      // of the event; in JSON its text
	At      time.Time       `json:"at"`     // when the erasure counts from
	Noted   time.Time       `json:"noted"`  // when the service had suppressed the subject
	Where   string          `json:"erased"` // Erased as text
}

// RemovedBy returns when each service had acted on the erasure: the time of the
// first of its receipts that covers the position. Who is missing did not say so.
func (p *Proof) RemovedBy(receipts []consumers.Receipt) map[string]time.Time {
	removed := make(map[string]time.Time)
	for i := range receipts {
		r := &receipts[i]
		covers := r.Generation == p.Erased.Generation && r.Partition == p.Erased.Partition && r.Acted > p.Erased.Offset
		if first, known := removed[r.Service]; covers && (!known || r.At.Before(first)) {
			removed[r.Service] = r.At
		}
	}
	return removed
}

// ReadProof reads the value of a record of type [ProofType].
func ReadProof(value []byte) (p Proof, err error) {
	if err = json.Unmarshal(value, &p); err == nil {
		p.Erased, err = events.ParsePosition(p.Where)
	}
	if err != nil {
		return Proof{}, fmt.Errorf("proof of an erasure: %w", err)
	}
	return p, nil
}

// proofs publishes them.
type proofs struct {
	publisher consumers.Publisher
	topic     string
	now       func() time.Time
}

func newProofs(cfg Config) proofs {
	return proofs{cfg.Publisher, cmp.Or(cfg.Receipts, "consent.receipts.v1"), cfg.Now}
}

// publish returns when all replicas have the proofs. One whose event was in a log
// that is laid out anew has its proof there.
func (p *proofs) publish(ctx context.Context, partition int32, all []Proof) error {
	var messages []stream.Message
	for _, one := range all {
		if one.Erased != (events.Position{}) {
			one.Where, one.Noted = one.Erased.String(), p.now().UTC()
			messages = append(messages, one.message(p.topic, partition))
		}
	}
	if len(messages) == 0 {
		return nil
	}
	if _, err := p.publisher.PublishAll(ctx, messages); err != nil {
		return fmt.Errorf("prove %d erasures: %w", len(messages), err)
	}
	return nil
}

// message writes the proof as a CloudEvent in Kafka's binary mode, under an id that
// every copy has.
func (p *Proof) message(topic string, partition int32) stream.Message {
	data, _ := json.Marshal(p) // of plain fields: cannot fail
	key := p.Service + "/" + strconv.Itoa(int(partition))
	m := stream.Message{Topic: topic, Partition: stream.AnyPartition, Key: []byte(key), Value: data, Time: p.Noted}
	for _, h := range [...][2]string{
		{"ce_specversion", "1.0"},
		{"ce_id", p.Hash + "/" + p.Where},
		{"ce_source", Source},
		{"ce_type", ProofType},
		{"ce_time", p.Noted.Format(time.RFC3339Nano)},
		{"ce_partitionkey", key},
		{"content-type", "application/json"},
	} {
		m.Headers = append(m.Headers, stream.Header{Key: h[0], Value: []byte(h[1])})
	}
	return m
}
