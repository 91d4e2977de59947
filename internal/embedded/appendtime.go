package embedded

import (
	"encoding/binary"
	"hash/crc32"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Where things stand in a record batch of format 2 (Kafka protocol, "Record Batch").
const (
	batchLengthAt       = 8  // int32: bytes that follow it
	batchLengthEnd      = 12 //
	batchCRCAt          = 17 // uint32: CRC-32C of everything from the attributes on
	batchAttributesAt   = 21 // int16
	batchFirstTimeAt    = 27 // int64: the records' own times are counted from it
	batchMaxTimestampAt = 35 // int64
	batchHeaderLen      = 61
)

const (
	// attributeAppendTime says that the batch's max timestamp is the broker's append time and holds for every record.
	attributeAppendTime = 0x0008
	// attributeMark is our own note inside kfake's log: "show this batch as one with an append time". kfake reacts to
	// attributeAppendTime by changing timestamps without mending the checksum, so the log holds this unused bit in its
	// place, and the wire codec exchanges the two on the way out.
	attributeMark = 0x4000
)

// appendTimesKept bounds, per partition, the append times remembered for produce responses. A broker answers repeats
// of the last five batches of each producer; this leaves room for some fifty producers at once.
const appendTimesKept = 256

// appendTimes gives kfake the topic setting message.timestamp.type=LogAppendTime. It stamps batches when they are
// produced, and knows what was stamped when the response goes out.
type appendTimes struct {
	cluster *kfake.Cluster
	mu      sync.Mutex
	given   map[topicPartition]*appendWindow
	names   map[[16]byte]string // topic names by id: from version 13 on, produce knows only ids
}

type topicPartition struct {
	topic     string
	partition int32
}

// appendWindow holds the append times of a partition's latest batches by base offset.
type appendWindow struct {
	millis map[int64]int64
	order  []int64
}

func newAppendTimes() *appendTimes {
	return &appendTimes{given: make(map[topicPartition]*appendWindow), names: make(map[[16]byte]string)}
}

// install makes every produce request of the cluster pass through stamp. It never answers a request, so control
// functions that tests add later see all of them.
func (a *appendTimes) install(cluster *kfake.Cluster) {
	a.cluster = cluster
	cluster.ControlKey(int16(kmsg.Produce), func(req kmsg.Request) (kmsg.Response, error, bool) {
		if produce, ok := req.(*kmsg.ProduceRequest); ok {
			a.stampAll(produce)
		}
		return nil, nil, false
	})
}

// stampAll runs inside the cluster's only loop, right before it appends: so the high watermark it sees is the base
// offset that the batch is about to get, unless the batch repeats one that is already there.
func (a *appendTimes) stampAll(req *kmsg.ProduceRequest) {
	now := time.Now().UnixMilli()
	for _, rt := range req.Topics {
		info := a.topic(req.Version, rt)
		if info == nil || !hasAppendTime(info) {
			continue
		}
		for _, rp := range rt.Partitions {
			part := a.cluster.PartitionInfo(info.Topic, rp.Partition)
			if part == nil || !stamp(rp.Records, now) {
				continue
			}
			a.remember(info, rp.Partition, part.HighWatermark, now)
		}
	}
}

func (a *appendTimes) topic(version int16, rt kmsg.ProduceRequestTopic) *kfake.TopicInfo {
	if version >= 13 {
		return a.cluster.TopicIDInfo(rt.TopicID)
	}
	return a.cluster.TopicInfo(rt.Topic)
}

func (a *appendTimes) remember(info *kfake.TopicInfo, partition int32, base, millis int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.names[info.TopicID] = info.Topic
	tp := topicPartition{info.Topic, partition}
	w := a.given[tp]
	if w == nil {
		w = &appendWindow{millis: make(map[int64]int64)}
		a.given[tp] = w
	}
	if _, again := w.millis[base]; !again {
		w.order = append(w.order, base)
	}
	w.millis[base] = millis
	if len(w.order) > appendTimesKept {
		delete(w.millis, w.order[0])
		w.order = w.order[1:]
	}
}

// answer writes the append times into a produce response and reports whether it changed anything.
func (a *appendTimes) answer(resp *kmsg.ProduceResponse) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	changed := false
	for i := range resp.Topics {
		rt := &resp.Topics[i]
		name := rt.Topic
		if resp.Version >= 13 {
			name = a.names[rt.TopicID]
		}
		for j := range rt.Partitions {
			rp := &rt.Partitions[j]
			w := a.given[topicPartition{name, rp.Partition}]
			if w == nil || rp.ErrorCode != 0 {
				continue
			}
			if millis, ok := w.millis[rp.BaseOffset]; ok {
				rp.LogAppendTime, changed = millis, true
			}
		}
	}
	return changed
}

func hasAppendTime(info *kfake.TopicInfo) bool {
	v := info.Configs["message.timestamp.type"]
	return v != nil && *v == "LogAppendTime"
}

// stamp writes the append time into one batch, as a broker does, where it stands for the time of every record. A broker
// leaves the first timestamp as it is. Here it is the append time too: kfake, asked where a time is in the log, looks at
// the records' own times, and passed over a batch that was made before that time and appended behind it. A batch that
// is not in order is left as it is, for kfake to refuse.
func stamp(batch []byte, millis int64) bool {
	if len(batch) < batchHeaderLen || checksum(batch) != binary.BigEndian.Uint32(batch[batchCRCAt:]) {
		return false
	}
	attributes := binary.BigEndian.Uint16(batch[batchAttributesAt:])
	if attributes&attributeAppendTime != 0 {
		return false // a producer may not claim an append time; kfake's own answer stands
	}
	binary.BigEndian.PutUint16(batch[batchAttributesAt:], attributes|attributeMark)
	binary.BigEndian.PutUint64(batch[batchFirstTimeAt:], uint64(millis))
	binary.BigEndian.PutUint64(batch[batchMaxTimestampAt:], uint64(millis))
	binary.BigEndian.PutUint32(batch[batchCRCAt:], checksum(batch))
	return true
}

// show turns the mark of every batch in a fetched record set into the attribute that clients know.
func show(records []byte) {
	for len(records) >= batchHeaderLen {
		size := batchLengthEnd + int(binary.BigEndian.Uint32(records[batchLengthAt:]))
		if size < batchHeaderLen || size > len(records) {
			return
		}
		batch := records[:size]
		if attributes := binary.BigEndian.Uint16(batch[batchAttributesAt:]); attributes&attributeMark != 0 {
			binary.BigEndian.PutUint16(batch[batchAttributesAt:], attributes&^attributeMark|attributeAppendTime)
			binary.BigEndian.PutUint32(batch[batchCRCAt:], checksum(batch))
		}
		records = records[size:]
	}
}

func checksum(batch []byte) uint32 {
	return crc32.Checksum(batch[batchAttributesAt:], crc32.MakeTable(crc32.Castagnoli))
}
