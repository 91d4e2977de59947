package recordbatch

import (
	"bytes"
	"fmt"
	"testing"
)

// standardSet is a response worth of the standard event of the benchmarks: 8 headers, a key of 13 bytes,
// about 205 bytes of data, in batches of 100.
func standardSet(b *testing.B, codec Codec) (set []byte, records int) {
	var e Encoder
	data := bytes.Repeat([]byte(`{"evidence":"x"}`), 13)
	for set = nil; len(set) < 1<<20; records += 100 {
		e.Reset()
		for i := range 100 {
			h := Headers{}
			for _, kv := range [][2]string{
				{"ce_specversion", "1.0"}, {"ce_id", fmt.Sprintf("%024d", records+i)},
				{"ce_source", "/preference-centre"}, {"ce_type", "io.kelisim.consent.withdrawn.v1"},
				{"ce_subject", fmt.Sprintf("subject-%05d", i)}, {"ce_time", "2026-01-02T03:04:05.678Z"},
				{"ce_purposes", "promotion,research"}, {"content-type", "application/json"},
			} {
				h = h.Append(kv[0], []byte(kv[1]))
			}
			if err := e.Add(1_700_000_000_000+int64(i), fmt.Appendf(nil, "subject-%05d", i), data, h); err != nil {
				b.Fatal(err)
			}
		}
		batch, err := e.AppendBatch(nil, Info{BaseOffset: int64(records), Codec: codec})
		if err != nil {
			b.Fatal(err)
		}
		set = append(set, batch...)
	}
	return set, records
}

// BenchmarkDecode reads every record, its CRC and headers checked; the figure that counts is ns/record.
func BenchmarkDecode(b *testing.B) {
	for _, codec := range everyCodec {
		b.Run(codec.String(), func(b *testing.B) {
			set, n := standardSet(b, codec)
			d, s := NewDecoder(64<<20, 64<<20), new(Scratch)
			var records []Record
			b.ReportAllocs()
			for b.Loop() {
				s.Reset()
				var err error
				if records, _, err = d.Append(records[:0], Set{Bytes: set}, s); err != nil || len(records) != n {
					b.Fatal(len(records), err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/record")
		})
	}
}

func BenchmarkEncode(b *testing.B) {
	var e Encoder
	data := bytes.Repeat([]byte(`{"evidence":"x"}`), 13)
	h := Headers{}
	for range 8 {
		h = h.Append("ce_something", []byte("io.kelisim.consent.withdrawn.v1"))
	}
	var out []byte
	b.ReportAllocs()
	for b.Loop() {
		e.Reset()
		for i := range 100 {
			if err := e.Add(int64(i), data[:13], data, h); err != nil {
				b.Fatal(err)
			}
		}
		var err error
		if out, err = e.AppendBatch(out[:0], Info{}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/100, "ns/record")
}
