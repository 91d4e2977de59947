package consumers

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/kelisim/kelisim/events"
	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/internal/cache"
)

// ReceiptType is the CloudEvents type of a receipt.
const ReceiptType = "io.kelisim.receipt.v1"

const (
	// receiptPause keeps receipts apart: below ten batches a second there is one
	// per batch, above it one covers several. A person can ask when a service
	// stopped; a tenth of a second answers that, and the log stays small.
	receiptPause = 100 * time.Millisecond
	// replayPause keeps them apart while catching up, when nobody waits for them.
	replayPause = 5 * time.Second
)

// Receipt is a service's proof that it applied a range of one partition: who,
// which, when, and what came of it. It holds nothing of any subject.
type Receipt struct {
	Service    string         `json:"service"`
	Generation uint32         `json:"generation"`
	Partition  int32          `json:"partition"`
	From       int64          `json:"from"`    // first offset covered
	Decided    int64          `json:"decided"` // the cache decides by every offset below
	Acted      int64          `json:"acted"`   // every action of offsets below is done
	Counts     map[string]int `json:"counts"`  // events of the range by verdict
	Digest     string         `json:"digest"`  // of all states at Decided, 48 bits in hex
	DecidedAt  time.Time      `json:"decidedAt"`
	At         time.Time      `json:"at"`
}

// receipts publishes what the writer and the actor report, ranges joined, none
// left out: a range that could not be published is part of the next.
type receipts struct {
	*Consumer
	woken chan struct{}

	mu    sync.Mutex
	parts map[int32]*account
}

// account is what is to be receipted of one partition.
type account struct {
	from, decided, done int64
	published           int64 // receipts up to here are acknowledged
	waits               bool  // the outbox holds something of ours
	wide                bool
	dirty               bool
	tally               tally
	digest              cache.Digest
	at                  time.Time
}

func newReceipts(c *Consumer) *receipts {
	return &receipts{Consumer: c, woken: make(chan struct{}, 1), parts: make(map[int32]*account)}
}

// begin starts a partition where earlier receipts ended.
func (r *receipts) begin(partition int32, m cache.Mark) {
	r.mu.Lock()
	defer r.mu.Unlock()
	from := min(m.Receipted, m.Next)
	r.parts[partition] = &account{from: from, published: from, decided: m.Next, done: min(m.Acted, m.Next), waits: m.Acted < m.Next, digest: m.Digest}
}

// covered returns up to where receipts are published, for the cache to keep.
func (r *receipts) covered(partition int32) int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	if a := r.parts[partition]; a != nil {
		return a.published
	}
	return 0
}

// decided notes a stored batch.
func (r *receipts) decided(b batch, m cache.Mark, at time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	a := r.parts[b.Partition]
	if a == nil || b.From == b.To {
		return
	}
	a.decided, a.digest, a.at, a.wide, a.dirty = b.To, m.Digest, at, b.Wide || len(b.Changes) >= wideBatch, true
	a.tally.add(b.tally)
	a.waits = a.waits || b.acts
	if !a.waits {
		a.done = b.To
	}
}

// acted notes how far actions are done.
func (r *receipts) acted(partition int32, to int64) {
	r.mu.Lock()
	if a := r.parts[partition]; a != nil {
		a.dirty = a.dirty || to > a.done
		a.done = max(a.done, min(to, a.decided))
		a.waits = a.done < a.decided
	}
	r.mu.Unlock()
	r.wake()
}

func (r *receipts) wake() {
	select {
	case r.woken <- struct{}{}:
	default:
	}
}

func (r *receipts) run(ctx context.Context) error {
	for {
		select {
		case <-r.woken:
		case <-ctx.Done():
			return ctx.Err()
		}
		pause := r.publish(ctx)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// publish sends what is due and returns how long to wait before the next.
func (r *receipts) publish(ctx context.Context) time.Duration {
	due, pause := r.due(time.Now())
	if len(due) == 0 {
		return pause
	}
	messages := make([]stream.Message, len(due))
	for i := range due {
		messages[i] = due[i].message(r.cfg.ReceiptsTopic)
	}
	if _, err := r.cfg.Publisher.PublishAll(ctx, messages); err != nil {
		r.metrics.retried("receipt")
		r.log.Warn("receipts not published; the next ones cover their ranges", "partitions", len(due), "err", err)
		r.wake()
		return lastPause
	}
	r.settle(due)
	return pause
}

// due returns a receipt for each partition that moved.
func (r *receipts) due(now time.Time) ([]Receipt, time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	pause := receiptPause
	var out []Receipt
	for _, id := range slices.Sorted(maps.Keys(r.parts)) {
		a := r.parts[id]
		if !a.dirty {
			continue
		}
		if a.wide {
			pause = replayPause
		}
		out = append(out, Receipt{
			Service: r.cfg.Service.Name, Generation: r.cfg.Generation, Partition: id,
			From: a.from, Decided: a.decided, Acted: a.done, Counts: a.tally.counts(),
			Digest: fmt.Sprintf("%012x", uint64(a.digest)), DecidedAt: a.at.UTC(), At: now.UTC(),
		})
	}
	return out, pause
}

// settle begins the next ranges where the published ones ended: at what was
// acted on, so that a later receipt says when the rest was.
func (r *receipts) settle(published []Receipt) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range published {
		p := &published[i]
		a := r.parts[p.Partition]
		if a == nil || a.from != p.From {
			continue // begun anew meanwhile
		}
		a.tally.take(p.Counts)
		a.dirty = a.decided > p.Decided || a.done > p.Acted
		a.from, a.published = max(a.from, p.Acted), max(a.published, p.Acted)
	}
}

func (t *tally) counts() map[string]int {
	out := make(map[string]int)
	for v, n := range t.Verdicts {
		if n > 0 {
			out[events.Verdict(v).String()] = n
		}
	}
	return out
}

// take subtracts what a published receipt has counted.
func (t *tally) take(counts map[string]int) {
	for v := range t.Verdicts {
		t.Verdicts[v] -= counts[events.Verdict(v).String()]
	}
}

// message writes the receipt as a CloudEvent in Kafka's binary mode.
func (p *Receipt) message(topic string) stream.Message {
	data, _ := json.Marshal(p) // of plain fields: cannot fail
	key := p.Service + "/" + strconv.Itoa(int(p.Partition))
	id := fmt.Sprintf("%s/%d/%d@%d-%d", p.Service, p.Generation, p.Partition, p.Decided, p.Acted)
	m := stream.Message{Topic: topic, Partition: stream.AnyPartition, Key: []byte(key), Value: data, Time: p.At}
	for _, h := range [...][2]string{
		{"ce_specversion", "1.0"},
		{"ce_id", id},
		{"ce_source", "/kelisim/" + p.Service},
		{"ce_type", ReceiptType},
		{"ce_time", p.At.Format(time.RFC3339Nano)},
		{"ce_partitionkey", key},
		{"content-type", "application/json"},
	} {
		m.Headers = append(m.Headers, stream.Header{Key: h[0], Value: []byte(h[1])})
	}
	return m
}
