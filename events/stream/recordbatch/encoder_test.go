package recordbatch

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"testing"

	"github.com/klauspost/compress/snappy"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"
)

// recordDraw is any record.
type recordDraw struct {
	time       int64
	key, value []byte
	headers    [][2][]byte
}

func drawBytes(t *rapid.T, label string) []byte {
	if rapid.Bool().Draw(t, label+" null") {
		return nil
	}
	return rapid.SliceOfN(rapid.Byte(), 0, 200).Draw(t, label)
}

func drawRecord(t *rapid.T) recordDraw {
	r := recordDraw{
		time:  rapid.Int64Range(-1, 1<<50).Draw(t, "time"),
		key:   drawBytes(t, "key"),
		value: drawBytes(t, "value"),
	}
	for range rapid.IntRange(0, 10).Draw(t, "headers") {
		r.headers = append(r.headers, [2][]byte{[]byte(rapid.String().Draw(t, "name")), drawBytes(t, "header")})
	}
	return r
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	d, s, e := NewDecoder(1<<20, 1<<20), new(Scratch), new(Encoder)
	rapid.Check(t, func(t *rapid.T) {
		wrote := rapid.SliceOfN(rapid.Custom(drawRecord), 1, 20).Draw(t, "records")
		info := Info{
			Codec:      Codec(rapid.IntRange(0, 4).Draw(t, "codec")),
			BaseOffset: rapid.Int64Range(0, 1<<60).Draw(t, "base"),
		}
		e.Reset()
		for _, r := range wrote {
			var h Headers
			for _, kv := range r.headers {
				h = h.Append(string(kv[0]), kv[1])
			}
			require.NoError(t, e.Add(r.time, r.key, r.value, h))
		}
		b, err := e.AppendBatch([]byte("before"), info)
		require.NoError(t, err)
		b = b[len("before"):]
		if info.Codec == None {
			require.Equal(t, e.Size(), len(b))
		}
		s.Reset()
		got, result, err := d.Append(nil, Set{Bytes: b, From: info.BaseOffset}, s)
		require.NoError(t, err)
		require.Equal(t, info.BaseOffset+int64(len(wrote)), result.Next)
		require.Len(t, got, len(wrote))
		for i, r := range got {
			require.Equal(t, info.BaseOffset+int64(i), r.Offset)
			require.Equal(t, wrote[i].time, r.Time)
			require.Equal(t, wrote[i].key, r.Key)
			require.Equal(t, wrote[i].value, r.Value)
			var headers [][2][]byte
			for k, v := range r.Headers.All() {
				headers = append(headers, [2][]byte{k, v})
			}
			require.Equal(t, fmt.Sprintf("%#v", wrote[i].headers), fmt.Sprintf("%#v", headers))
		}
	})
}

// Another implementation reads the same fields, so the format is Kafka's and not only our own.
func TestOthersReadWhatIsWritten(t *testing.T) {
	var e Encoder
	e.Reset()
	require.NoError(t, e.Add(1000, []byte("k1"), []byte("v1"), Headers{}.Append("h", []byte("x"))))
	require.NoError(t, e.Add(1007, []byte("k2"), nil, Headers{}))
	b, err := e.AppendBatch(nil, Info{Transactional: true, Producer: &Producer{ID: 9, Epoch: 2, Sequence: 41}})
	require.NoError(t, err)

	var batch kmsg.RecordBatch
	require.NoError(t, batch.ReadFrom(b))
	require.Equal(t, kmsg.RecordBatch{
		Length: int32(len(b) - 12), PartitionLeaderEpoch: -1, Magic: 2,
		CRC: int32(crc32.Checksum(b[21:], castagnoli)), Attributes: bitTransactional,
		LastOffsetDelta: 1, FirstTimestamp: 1000, MaxTimestamp: 1007,
		ProducerID: 9, ProducerEpoch: 2, FirstSequence: 41, NumRecords: 2, Records: batch.Records,
	}, batch)
	var first kmsg.Record
	require.NoError(t, first.ReadFrom(batch.Records))
	require.Equal(t, []byte("k1"), first.Key)
	require.Equal(t, []byte("v1"), first.Value)
	require.Equal(t, []kmsg.Header{{Key: "h", Value: []byte("x")}}, first.Headers)
}

func TestRetryIsTheSameBytes(t *testing.T) {
	for _, codec := range everyCodec {
		var e Encoder
		require.NoError(t, e.Add(5, []byte("k"), bytes.Repeat([]byte("v"), 100<<10), Headers{}))
		info := Info{Codec: codec, Producer: &Producer{ID: 1, Epoch: 2, Sequence: 3}}
		once, err := e.AppendBatch(nil, info)
		require.NoError(t, err)
		again, err := e.AppendBatch(nil, info)
		require.NoError(t, err)
		require.True(t, bytes.Equal(once, again), codec.String())
	}
}

func TestBareSnappyBlockIsRead(t *testing.T) {
	var e Encoder
	require.NoError(t, e.Add(5, []byte("k"), []byte("v"), Headers{}))
	b, err := e.AppendBatch(nil, Info{})
	require.NoError(t, err)
	b = append(b[:HeaderSize], snappy.Encode(nil, b[HeaderSize:])...)
	b[atBatchLength+3] = byte(len(b) - lengthPrefix)
	b[atAttributes+1] |= byte(Snappy)
	records, _, err := decode(t, Set{Bytes: resign(b)})
	require.NoError(t, err)
	require.Equal(t, "v", string(records[0].Value))
}

func TestOffsetDeltasMustRise(t *testing.T) {
	var e Encoder
	require.NoError(t, e.AddAt(3, 0, nil, nil, Headers{}))
	require.Error(t, e.AddAt(3, 0, nil, nil, Headers{}))
	require.Error(t, e.AddAt(-1, 0, nil, nil, Headers{}))
	require.NoError(t, e.AddAt(4, 0, nil, nil, Headers{}))
	require.Equal(t, 2, e.Count())
}
