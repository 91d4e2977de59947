package embedded

import (
	"hash/fnv"
	"math"
	"sync"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// fencing hands out producer ids for transactional ids: the same id each time,
// with the next epoch.
//
// kfake 20260918 has that too, but then wants every batch of such a producer id
// to be part of a transaction, where Kafka takes plain ones and fences them all
// the same (kafka.log.ProducerAppendInfo; internal/testenv proves it on the real
// one). Ids that kfake never heard of it fences as Kafka does. The price:
// transactions do not work here.
type fencing struct {
	mu     sync.Mutex
	epochs map[string]int16
}

// install answers the cluster's InitProducerID requests that name a
// transactional id; the others pass.
func (f *fencing) install(cluster *kfake.Cluster) {
	cluster.ControlKey(int16(kmsg.InitProducerID), func(r kmsg.Request) (kmsg.Response, error, bool) {
		req, ok := r.(*kmsg.InitProducerIDRequest)
		if !ok || req.TransactionalID == nil {
			return nil, nil, false
		}
		cluster.KeepControl()
		resp := req.ResponseKind().(*kmsg.InitProducerIDResponse)
		resp.ProducerID, resp.ProducerEpoch = f.next(*req.TransactionalID)
		return resp, nil, true
	})
}

func (f *fencing) next(name string) (id int64, epoch int16) {
	f.mu.Lock()
	defer f.mu.Unlock()
	epoch, known := f.epochs[name]
	if known {
		epoch++
	}
	f.epochs[name] = epoch
	h := fnv.New64a()
	_, _ = h.Write([]byte(name))
	return int64(h.Sum64() & math.MaxInt64), epoch
}
