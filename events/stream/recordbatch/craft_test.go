package recordbatch

import (
	"encoding/binary"
	"hash/crc32"
	"testing"

	"github.com/stretchr/testify/require"
)

// kv is a record to craft: delta is its place in the batch.
type kv struct {
	delta      int32
	key, value string
}

// craft writes one batch with the given records at time 1000 + delta.
func craft(t testing.TB, info Info, records ...kv) []byte {
	t.Helper()
	var e Encoder
	e.Reset()
	for _, r := range records {
		require.NoError(t, e.AddAt(r.delta, 1000+int64(r.delta), []byte(r.key), []byte(r.value), Headers{}))
	}
	b, err := e.AppendBatch(nil, info)
	require.NoError(t, err)
	return b
}

// marker writes the control batch that ends a transaction.
func marker(t testing.TB, offset, producer int64, typ int16) []byte {
	t.Helper()
	var e Encoder
	key := binary.BigEndian.AppendUint16([]byte{0, 0}, uint16(typ))
	require.NoError(t, e.Add(1000, key, []byte{0, 0, 0, 0, 0, 0}, Headers{}))
	b, err := e.AppendBatch(nil, Info{BaseOffset: offset, Transactional: true, Control: true,
		Producer: &Producer{ID: producer, Sequence: noSequence}})
	require.NoError(t, err)
	return b
}

// resign gives b the CRC of what it now holds, so that a test reaches what stands behind the CRC check.
func resign(b []byte) []byte {
	binary.BigEndian.PutUint32(b[atCRC:], crc32.Checksum(b[atAttributes:], castagnoli))
	return b
}

// join puts batches behind each other.
func join(batches ...[]byte) []byte {
	var all []byte
	for _, b := range batches {
		all = append(all, b...)
	}
	return all
}

// decode reads a set with roomy limits.
func decode(t testing.TB, set Set) ([]Record, Result, error) {
	t.Helper()
	return NewDecoder(1<<20, 1<<20).Append(nil, set, new(Scratch))
}

// offsets lists where the records stand.
func offsets(records []Record) []int64 {
	list := []int64{}
	for _, r := range records {
		list = append(list, r.Offset)
	}
	return list
}
