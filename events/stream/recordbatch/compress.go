package recordbatch

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

// snappyChunk is the block size of snappy-java's framing, as Kafka's Java client writes it.
const snappyChunk = 32 << 10

// compressor compresses the records of a batch. It keeps its codecs and is not safe for concurrent use.
type compressor struct {
	out  bytes.Buffer
	gzip *gzip.Writer
	lz4  *lz4.Writer
	zstd *zstd.Encoder
}

// append writes the compressed src behind dst.
func (c *compressor) append(dst []byte, codec Codec, src []byte) ([]byte, error) {
	switch codec {
	case None:
		return append(dst, src...), nil
	case Gzip:
		if c.gzip == nil {
			c.gzip = gzip.NewWriter(nil)
		}
		c.out.Reset()
		c.gzip.Reset(&c.out)
		return c.appendStream(dst, codec, c.gzip, src)
	case Snappy:
		return appendSnappy(dst, src), nil
	case LZ4:
		if c.lz4 == nil {
			c.lz4 = lz4.NewWriter(nil)
		}
		c.out.Reset()
		c.lz4.Reset(&c.out)
		return c.appendStream(dst, codec, c.lz4, src)
	case Zstd:
		if c.zstd == nil {
			enc, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
			if err != nil {
				return dst, fmt.Errorf("compress with %v: %w", codec, err)
			}
			c.zstd = enc
		}
		return c.zstd.EncodeAll(src, dst), nil
	}
	return dst, fmt.Errorf("compress with %v: not known", codec)
}

func (c *compressor) appendStream(dst []byte, codec Codec, w io.WriteCloser, src []byte) ([]byte, error) {
	if _, err := w.Write(src); err != nil {
		return dst, fmt.Errorf("compress with %v: %w", codec, err)
	}
	if err := w.Close(); err != nil {
		return dst, fmt.Errorf("compress with %v: %w", codec, err)
	}
	return append(dst, c.out.Bytes()...), nil
}

// appendSnappy writes the framing of snappy-java, which every client reads.
func appendSnappy(dst, src []byte) []byte {
	dst = append(dst, xerialMagic...)
	dst = append(dst, 0, 0, 0, 1, 0, 0, 0, 1) // version, compatible version
	for len(src) > 0 {
		n := min(len(src), snappyChunk)
		block := snappy.Encode(nil, src[:n])
		dst = binary.BigEndian.AppendUint32(dst, uint32(len(block)))
		dst = append(dst, block...)
		src = src[n:]
	}
	return dst
}
