package stream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"sync"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/initproducerid"
)

// identity is what a broker knows a producer by. Epochs of one id are ordered:
// a partition that has seen one refuses every batch of an earlier one.
type identity struct {
	id    int64
	epoch int16
}

// sequence numbers the records of one partition for one identity, so that the
// broker can tell a copy, a gap and what comes next.
type sequence struct {
	who  identity
	next int32
}

// as gives the sequence under an identity: a new one begins at zero, which is
// what a broker wants of the first batch of a new epoch.
func (s sequence) as(who identity) sequence {
	if s.who == who {
		return s
	}
	return sequence{who: who}
}

// after gives the sequence behind n more records. It wraps from 2^31-1 to 0, as
// the broker expects (DefaultRecordBatch.incrementSequence).
func (s sequence) after(n int) sequence {
	s.next = int32((int64(s.next) + int64(n)) & math.MaxInt32)
	return s
}

// identities hands out the producer's identity and replaces one that a batch of
// unknown fate was sent under.
//
// The replacement is the same id with the next epoch, as in the Java client
// (KIP-360), not a new id: so when the first batch of the new epoch has been
// appended, a copy of the lost one that is still on its way, in a socket or in
// a broker's queue, is refused (INVALID_PRODUCER_EPOCH) instead of being
// appended behind it.
type identities struct {
	ask func(context.Context) (identity, error)
	log *slog.Logger

	mu      sync.Mutex
	current identity
	known   bool
}

// get returns the identity to use for the next batch, asking the cluster for
// one if there is none. One question at a time; the others wait for it.
func (i *identities) get(ctx context.Context) (identity, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if !i.known {
		who, err := i.ask(ctx)
		if err != nil {
			return identity{}, fmt.Errorf("producer id: %w", err)
		}
		i.current, i.known = who, true
		i.log.Debug("kafka: have a producer id", "id", who.id, "epoch", who.epoch)
	}
	return i.current, nil
}

// retire makes later batches go out under another identity. Epochs end at
// 2^15-1, and a broker that has seen a later epoch than ours knows better: both
// need a new id.
func (i *identities) retire(old identity, why error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if !i.known || i.current != old {
		return // somebody else has already
	}
	if old.epoch == math.MaxInt16 || errors.Is(why, kafka.InvalidProducerEpoch) || errors.Is(why, kafka.InvalidProducerIDMapping) {
		i.known = false
	} else {
		i.current.epoch++
	}
	i.log.Warn("kafka: producer identity retired", "id", old.id, "epoch", old.epoch, "cause", why)
}

// newProducer asks a broker for a producer id. kafka-go's own InitProducerID
// goes through the transaction coordinator, which needs a transaction topic and
// a permission that idempotence does not (KIP-98, KIP-679); any broker will do,
// as for the Java client.
type newProducer struct {
	clientID string
	version  int16
}

// noProducer as id and epoch asks for a fresh identity (KIP-360).
const noProducer = -1

// ApiKey implements protocol.Message.
func (*newProducer) ApiKey() protocol.ApiKey { return protocol.InitProducerId }

// Required implements protocol.RawExchanger: always.
func (r *newProducer) Required(versions map[protocol.ApiKey]int16) bool {
	r.version = versions[protocol.InitProducerId]
	return true
}

// RawExchange implements protocol.RawExchanger.
func (r *newProducer) RawExchange(rw io.ReadWriter) (protocol.Message, error) {
	return protocol.RoundTrip(rw, r.version, firstCorrelation, r.clientID, &initproducerid.Request{
		TransactionTimeoutMs: math.MaxInt32, // of no meaning without a transactional id
		ProducerID:           noProducer,
		ProducerEpoch:        noProducer,
	})
}

// askIdentity makes the ask of an identities.
func askIdentity(rt *link) func(context.Context) (identity, error) {
	return func(ctx context.Context) (identity, error) {
		m, err := rt.roundTrip(ctx, &newProducer{clientID: rt.clientID})
		if err != nil {
			return identity{}, err
		}
		res := m.(*initproducerid.Response)
		if res.ErrorCode != 0 {
			return identity{}, kafka.Error(res.ErrorCode)
		}
		return identity{id: res.ProducerID, epoch: res.ProducerEpoch}, nil
	}
}
