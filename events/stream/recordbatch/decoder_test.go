package recordbatch

import (
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var everyCodec = []Codec{None, Gzip, Snappy, LZ4, Zstd}

// The shapes that a log cleaner, a transaction and a fetch limit leave. kafka.Reader dies or spins on
// several of them (kafka-go#874, #1393, #1416, #423).
func TestPositionMovesPastEverythingReadWhateverIsLeftOfIt(t *testing.T) {
	whole := craft(t, Info{BaseOffset: 10}, kv{0, "a", "1"}, kv{1, "b", "2"}, kv{2, "c", "3"})
	empty := func(base int64, last int32) []byte { return craft(t, Info{BaseOffset: base, LastOffsetDelta: last}) }
	for _, test := range []struct {
		name string
		set  Set
		want []int64
		next int64
	}{
		{"nothing", Set{From: 7}, []int64{}, 7},
		{"one batch", Set{Bytes: whole, From: 10}, []int64{10, 11, 12}, 13},
		{"from the middle of a batch", Set{Bytes: whole, From: 12}, []int64{12}, 13},
		{"from behind the batch", Set{Bytes: whole, From: 20}, []int64{}, 20},
		{"an empty batch", Set{Bytes: empty(10, 4), From: 10}, []int64{}, 15},
		{"two empty batches", Set{Bytes: join(empty(10, 4), empty(15, 0)), From: 10}, []int64{}, 16},
		{"empty batches around a full one", Set{Bytes: join(empty(0, 9), whole, empty(13, 6)), From: 3},
			[]int64{10, 11, 12}, 20},
		{"a tail that is gone", Set{Bytes: craft(t, Info{BaseOffset: 10, LastOffsetDelta: 9}, kv{3, "a", "1"})},
			[]int64{13}, 20},
		{"a compressed tail that is gone",
			Set{Bytes: craft(t, Info{BaseOffset: 10, LastOffsetDelta: 9, Codec: Zstd}, kv{3, "a", "1"})},
			[]int64{13}, 20},
		{"a hole between batches", Set{Bytes: join(whole, craft(t, Info{BaseOffset: 99}, kv{0, "z", "9"}))},
			[]int64{10, 11, 12, 99}, 100},
		{"a control batch", Set{Bytes: join(whole, marker(t, 13, 5, 1))}, []int64{10, 11, 12}, 14},
		{"only a control batch", Set{Bytes: marker(t, 13, 5, 0), From: 13}, []int64{}, 14},
	} {
		t.Run(test.name, func(t *testing.T) {
			records, result, err := decode(t, test.set)
			require.NoError(t, err)
			require.Equal(t, test.want, offsets(records))
			require.Equal(t, Result{Next: test.next}, result)
		})
	}
}

func TestBatchCutOffAtTheEndIsReadNextTime(t *testing.T) {
	first := craft(t, Info{BaseOffset: 10}, kv{0, "a", "1"})
	second := craft(t, Info{BaseOffset: 11}, kv{0, "b", "2"}, kv{1, "c", "3"})
	for cut := range second {
		records, result, err := decode(t, Set{Bytes: join(first, second[:cut]), From: 10})
		require.NoError(t, err, "cut at %d", cut)
		require.Equal(t, []int64{10}, offsets(records), "cut at %d", cut)
		want := Result{Next: 11}
		switch {
		case cut >= lengthPrefix:
			want.Missing = len(second)
		case cut > 0:
			want.Missing = HeaderSize
		}
		require.Equal(t, want, result, "cut at %d", cut)
	}
}

func TestNullIsNotEmpty(t *testing.T) {
	var e Encoder
	headers := Headers{}.Append("null", nil).Append("empty", []byte{}).Append("", []byte("x"))
	require.NoError(t, e.Add(1, nil, []byte{}, headers))
	require.NoError(t, e.Add(2, []byte{}, nil, Headers{}))
	for _, codec := range everyCodec {
		b, err := e.AppendBatch(nil, Info{Codec: codec})
		require.NoError(t, err)
		records, _, err := decode(t, Set{Bytes: b})
		require.NoError(t, err)
		require.Len(t, records, 2)
		require.Nil(t, records[0].Key)
		require.NotNil(t, records[0].Value)
		require.NotNil(t, records[1].Key)
		require.Nil(t, records[1].Value)

		h := records[0].Headers
		key, value := h.Next()
		require.Equal(t, "null", string(key))
		require.Nil(t, value)
		key, value = h.Next()
		require.Equal(t, "empty", string(key))
		require.Equal(t, []byte{}, value)
		key, value = h.Next()
		require.Equal(t, []byte{}, key)
		require.Equal(t, "x", string(value))
		require.Zero(t, h.Len())
		require.Equal(t, 3, records[0].Headers.Len())
	}
}

func TestAppendTimeOfTheBrokerReplacesTheTimeOfTheProducer(t *testing.T) {
	own := craft(t, Info{}, kv{0, "a", "1"}, kv{5, "b", "2"})
	records, _, err := decode(t, Set{Bytes: own, Partition: 7})
	require.NoError(t, err)
	require.Equal(t, []int64{1000, 1005}, []int64{records[0].Time, records[1].Time})
	require.False(t, records[0].LogAppend)
	require.Equal(t, int32(7), records[1].Partition)

	records, _, err = decode(t, Set{Bytes: craft(t, Info{AppendTime: 77}, kv{0, "a", "1"}, kv{5, "b", "2"})})
	require.NoError(t, err)
	require.Equal(t, []int64{77, 77}, []int64{records[0].Time, records[1].Time})
	require.True(t, records[0].LogAppend)
}

func TestAbortedTransactionsAreLeftOut(t *testing.T) {
	of := func(producer, base int64) []byte {
		return craft(t, Info{BaseOffset: base, Transactional: true, Producer: &Producer{ID: producer}},
			kv{0, "a", "1"}, kv{1, "b", "2"})
	}
	plain := func(base int64) []byte { return craft(t, Info{BaseOffset: base}, kv{0, "p", "0"}) }
	idempotent := func(producer, base int64) []byte {
		return craft(t, Info{BaseOffset: base, Producer: &Producer{ID: producer}}, kv{0, "i", "0"})
	}
	const abort, commit = 0, 1
	emptied := craft(t, Info{BaseOffset: 2, Transactional: true, Control: true, Producer: &Producer{ID: 1}})
	for _, test := range []struct {
		name    string
		bytes   []byte
		aborted []Aborted
		want    []int64
	}{
		{"committed", join(of(1, 0), marker(t, 2, 1, commit)), nil, []int64{0, 1}},
		{"aborted", join(of(1, 0), marker(t, 2, 1, abort)), []Aborted{{1, 0}}, []int64{}},
		{"aborted, then committed by the same producer",
			join(of(1, 0), marker(t, 2, 1, abort), of(1, 3), marker(t, 5, 1, commit)),
			[]Aborted{{1, 0}}, []int64{3, 4}},
		{"two aborted, one listed out of order, a committed one between",
			join(of(1, 0), of(2, 2), of(3, 4), marker(t, 6, 1, abort), marker(t, 7, 2, commit), marker(t, 8, 3, abort)),
			[]Aborted{{3, 4}, {1, 0}}, []int64{2, 3}},
		{"aborted again", join(of(1, 0), marker(t, 2, 1, abort), of(1, 3), marker(t, 5, 1, abort)),
			[]Aborted{{1, 0}, {1, 3}}, []int64{}},
		{"others in between", join(of(1, 0), plain(2), idempotent(1, 3), of(1, 4), marker(t, 6, 1, abort)),
			[]Aborted{{1, 0}}, []int64{2, 3}},
		{"an abort marker that the cleaner emptied ends nothing", join(of(1, 0), emptied, of(1, 3)),
			[]Aborted{{1, 0}}, []int64{}},
		{"begun before the set", join(of(1, 10), marker(t, 12, 1, abort), of(1, 13)), []Aborted{{1, 4}}, []int64{13, 14}},
	} {
		t.Run(test.name, func(t *testing.T) {
			records, result, err := decode(t, Set{Bytes: test.bytes, Aborted: test.aborted})
			require.NoError(t, err)
			require.Equal(t, test.want, offsets(records))
			_, all, err := decode(t, Set{Bytes: test.bytes})
			require.NoError(t, err)
			require.Equal(t, all.Next, result.Next, "left out is read all the same")
		})
	}
}

func TestBrokenBatchIsNamedAndNothingBehindItIsRead(t *testing.T) {
	good := craft(t, Info{BaseOffset: 4}, kv{0, "a", "1"})
	bad := func(change func(b []byte)) []byte {
		b := craft(t, Info{BaseOffset: 5}, kv{0, "key", "value"}, kv{1, "key", "value"})
		change(b)
		return b
	}
	signed := func(change func(b []byte)) []byte { return resign(bad(change)) }
	be := binary.BigEndian
	for _, test := range []struct {
		name string
		bad  []byte
		is   error
		says string
	}{
		{"a bit flipped in a record", bad(func(b []byte) { b[HeaderSize+5] ^= 1 }), ErrCorrupt, "crc"},
		{"a bit flipped in the attributes", bad(func(b []byte) { b[atAttributes+1] ^= 8 }), ErrCorrupt, "crc"},
		{"message format 0", bad(func(b []byte) { b[atMagic] = 0 }), ErrFormat, "older than 2"},
		{"message format 1", bad(func(b []byte) { b[atMagic] = 1 }), ErrFormat, "older than 2"},
		{"message format 3", bad(func(b []byte) { b[atMagic] = 3 }), ErrCorrupt, "magic 3"},
		{"negative length", bad(func(b []byte) { be.PutUint32(b[atBatchLength:], 1<<31) }), ErrCorrupt, "batch length"},
		{"length below the header", bad(func(b []byte) { be.PutUint32(b[atBatchLength:], 48) }), ErrCorrupt, "batch length"},
		{"base offset goes back", bad(func(b []byte) { be.PutUint64(b, 4) }), ErrCorrupt, "base offset 4"},
		{"base offset negative", bad(func(b []byte) { be.PutUint64(b, 1<<63) }), ErrCorrupt, "base offset"},
		{"base offset at the end of numbers", bad(func(b []byte) { be.PutUint64(b, 1<<63-1) }), ErrCorrupt, "base offset"},
		{"negative last offset delta", signed(func(b []byte) { be.PutUint32(b[atLastOffsetDelta:], 1<<31) }), ErrCorrupt, "last offset delta"},
		{"negative count", signed(func(b []byte) { be.PutUint32(b[atCount:], 1<<31) }), ErrCorrupt, "records for"},
		{"count above the offsets", signed(func(b []byte) { be.PutUint32(b[atCount:], 3) }), ErrCorrupt, "3 records for 2"},
		{"count above the bytes", signed(func(b []byte) {
			be.PutUint32(b[atCount:], 1<<30)
			be.PutUint32(b[atLastOffsetDelta:], 1<<30)
		}), ErrCorrupt, "records in"},
		{"count below the records", signed(func(b []byte) { be.PutUint32(b[atCount:], 1) }), ErrCorrupt, "behind the last record"},
		{"unknown codec", signed(func(b []byte) { b[atAttributes+1] |= 5 }), ErrCorrupt, "unknown codec 5"},
		{"offset delta above the last", signed(func(b []byte) { be.PutUint32(b[atLastOffsetDelta:], 1); b[HeaderSize+3] = 4 }), ErrCorrupt, "offset delta 2"},
		{"offset delta that does not rise", signed(func(b []byte) { b[HeaderSize+1+int(b[HeaderSize]>>1)+3] = 0 }), ErrCorrupt, "offset delta 0 after 0"},
		{"record length beyond the batch", signed(func(b []byte) { b[HeaderSize] = 0x7e }), ErrCorrupt, "does not fit"},
		{"key length beyond the record", signed(func(b []byte) { b[HeaderSize+4] = 0x7e }), ErrCorrupt, "malformed"},
		{"not gzip", signed(func(b []byte) { b[atAttributes+1] |= byte(Gzip) }), ErrCorrupt, "gzip"},
		{"not snappy", signed(func(b []byte) { b[atAttributes+1] |= byte(Snappy) }), ErrCorrupt, "snappy"},
		{"not lz4", signed(func(b []byte) { b[atAttributes+1] |= byte(LZ4) }), ErrCorrupt, "lz4"},
		{"not zstd", signed(func(b []byte) { b[atAttributes+1] |= byte(Zstd) }), ErrCorrupt, "zstd"},
	} {
		t.Run(test.name, func(t *testing.T) {
			records, result, err := decode(t, Set{Bytes: join(good, test.bad, good), From: 4})
			require.ErrorIs(t, err, test.is)
			require.ErrorContains(t, err, test.says)
			var named *BatchError
			require.True(t, errors.As(err, &named))
			require.Equal(t, []int64{4}, offsets(records))
			require.Equal(t, int64(5), result.Next, "the position stays in front of the broken batch")
		})
	}
}

func TestDecompressionBombIsRefused(t *testing.T) {
	bomb := strings.Repeat("0", 200<<10)
	for _, codec := range everyCodec[1:] {
		b := craft(t, Info{BaseOffset: 3, Codec: codec}, kv{0, "k", bomb})
		_, result, err := NewDecoder(100<<10, 1<<20).Append(nil, Set{Bytes: b}, new(Scratch))
		require.ErrorIs(t, err, ErrTooLarge, codec.String())
		require.Zero(t, result.Next)
		var named *BatchError
		require.ErrorAs(t, err, &named)
		require.Equal(t, [2]int64{3, 3}, [2]int64{named.First, named.Last})

		records, _, err := NewDecoder(300<<10, 1<<20).Append(nil, Set{Bytes: b}, new(Scratch))
		require.NoError(t, err, codec.String())
		require.Equal(t, bomb, string(records[0].Value))
	}
}

func TestManyBatchesStopAtTheTotalLimitAndGoOnFromThere(t *testing.T) {
	const batches = 20
	value := strings.Repeat("0", 50<<10)
	for _, codec := range everyCodec[1:] {
		var set []byte
		for i := range batches {
			set = append(set, craft(t, Info{BaseOffset: int64(i), Codec: codec}, kv{0, "k", value})...)
		}
		d, s, next, rounds := NewDecoder(64<<10, 100<<10), new(Scratch), int64(0), 0
		for next < batches {
			s.Reset()
			records, result, err := d.Append(nil, Set{Bytes: set, From: next}, s)
			require.NoError(t, err)
			require.Equal(t, next, records[0].Offset)
			require.Less(t, len(records), 5, "not more than the limit and one batch")
			for _, r := range records {
				require.Equal(t, value, string(r.Value))
			}
			require.Equal(t, result.Next < batches, result.Full)
			next = result.Next
			rounds++
		}
		require.GreaterOrEqual(t, rounds, 5)
	}
}

func TestReadingAgainAllocatesNothingPerRecord(t *testing.T) {
	var e Encoder
	for range 1000 {
		require.NoError(t, e.Add(1, []byte("key"), []byte("value"), Headers{}.Append("name", []byte("x"))))
	}
	for _, codec := range everyCodec {
		b, err := e.AppendBatch(nil, Info{Codec: codec})
		require.NoError(t, err)
		d, s := NewDecoder(1<<20, 1<<20), new(Scratch)
		records, _, err := d.Append(nil, Set{Bytes: b}, s)
		require.NoError(t, err)
		allocs := testing.AllocsPerRun(50, func() {
			s.Reset()
			records, _, _ = d.Append(records[:0], Set{Bytes: b}, s)
		})
		require.Less(t, allocs, 20.0, "%v: a few per set, for the codec", codec)
		if codec == None {
			require.Zero(t, allocs)
		}
	}
}
