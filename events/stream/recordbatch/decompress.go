package recordbatch

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

// xerialMagic opens the snappy framing of snappy-java, which Kafka's Java client writes; other clients
// write one bare snappy block.
const xerialMagic = "\x82SNAPPY\x00"

// xerialHeaderSize is the magic, a version and a compatible version.
const xerialHeaderSize = 16

// readStep is how much a stream codec is asked for at a time: a bomb is noticed one step past the limit.
const readStep = 64 << 10

// minWindow is the window size that RFC 8878 (3.1.1.1.2) recommends every zstd decoder to accept, however
// small the content; the limit is checked on what comes out.
const minWindow = 8 << 20

// decompressor turns the compressed records of a batch back into bytes, never more than limit. It keeps
// its codecs for the next batch and is not safe for concurrent use.
type decompressor struct {
	limit int
	src   bytes.Reader
	gzip  *gzip.Reader
	lz4   *lz4.Reader
	zstd  *zstd.Decoder
}

// append writes the decompressed src behind dst. The error wraps ErrTooLarge or ErrCorrupt.
func (d *decompressor) append(dst []byte, codec Codec, src []byte) ([]byte, error) {
	d.src.Reset(src)
	defer d.src.Reset(nil)
	switch codec {
	case Gzip:
		return d.appendGzip(dst)
	case Snappy:
		return d.appendSnappy(dst, src)
	case LZ4:
		if d.lz4 == nil {
			d.lz4 = lz4.NewReader(nil)
		}
		d.lz4.Reset(&d.src)
		return d.appendStream(dst, codec, d.lz4)
	case Zstd:
		return d.appendZstd(dst, src)
	}
	return dst, corrupt("unknown %v", codec)
}

func (d *decompressor) appendGzip(dst []byte) ([]byte, error) {
	if d.gzip == nil {
		d.gzip = new(gzip.Reader)
	}
	if err := d.gzip.Reset(&d.src); err != nil {
		return dst, corrupt("gzip: %v", err)
	}
	return d.appendStream(dst, Gzip, d.gzip)
}

// appendStream reads r to its end in steps, so that memory follows what really comes out and not what
// the bytes claim.
func (d *decompressor) appendStream(dst []byte, codec Codec, r io.Reader) ([]byte, error) {
	start := len(dst)
	for {
		if cap(dst)-len(dst) < readStep {
			dst = append(dst, make([]byte, readStep)...)[:len(dst)]
		}
		n, err := r.Read(dst[len(dst) : len(dst)+readStep])
		dst = dst[:len(dst)+n]
		if len(dst)-start > d.limit {
			return dst[:start], d.tooLarge(codec)
		}
		if err == io.EOF {
			return dst, nil
		}
		if err != nil {
			return dst[:start], corrupt("%v: %v", codec, err)
		}
	}
}

// appendSnappy reads a bare block or the framing of snappy-java.
func (d *decompressor) appendSnappy(dst, src []byte) ([]byte, error) {
	start := len(dst)
	if !bytes.HasPrefix(src, []byte(xerialMagic)) {
		return d.appendSnappyBlock(dst, src, d.limit)
	}
	if len(src) < xerialHeaderSize {
		return dst, corrupt("snappy: header cut off")
	}
	for src = src[xerialHeaderSize:]; len(src) > 0; {
		if len(src) < 4 {
			return dst[:start], corrupt("snappy: chunk length cut off")
		}
		n := binary.BigEndian.Uint32(src)
		src = src[4:]
		if uint64(n) > uint64(len(src)) {
			return dst[:start], corrupt("snappy: chunk of %d bytes where %d are left", n, len(src))
		}
		var err error
		if dst, err = d.appendSnappyBlock(dst, src[:n], d.limit-(len(dst)-start)); err != nil {
			return dst[:start], err
		}
		src = src[n:]
	}
	return dst, nil
}

func (d *decompressor) appendSnappyBlock(dst, block []byte, room int) ([]byte, error) {
	n, err := snappy.DecodedLen(block)
	if err != nil {
		return dst, corrupt("snappy: %v", err)
	}
	if n > room {
		return dst, d.tooLarge(Snappy)
	}
	start := len(dst)
	dst = append(dst, make([]byte, n)...)
	if _, err := snappy.Decode(dst[start:], block); err != nil {
		return dst[:start], corrupt("snappy: %v", err)
	}
	return dst, nil
}

func (d *decompressor) appendZstd(dst, src []byte) ([]byte, error) {
	if d.zstd == nil {
		dec, err := zstd.NewReader(nil,
			zstd.WithDecoderConcurrency(1),
			zstd.WithDecoderMaxMemory(uint64(max(d.limit, minWindow))))
		if err != nil {
			return dst, fmt.Errorf("zstd: %w", err)
		}
		d.zstd = dec
	}
	start := len(dst)
	// The decoder counts what stands in dst already against its limit: give it the free part only.
	out, err := d.zstd.DecodeAll(src, dst[start:start:cap(dst)])
	switch {
	case errors.Is(err, zstd.ErrDecoderSizeExceeded), errors.Is(err, zstd.ErrWindowSizeExceeded),
		err == nil && len(out) > d.limit:
		return dst, d.tooLarge(Zstd)
	case err != nil:
		return dst, corrupt("zstd: %v", err)
	}
	if start == 0 {
		return out, nil
	}
	if len(out) <= cap(dst)-start && len(out) > 0 && &out[0] == &dst[:cap(dst)][start] {
		return dst[:start+len(out)], nil
	}
	return append(dst, out...), nil
}

func (d *decompressor) tooLarge(codec Codec) error {
	return fmt.Errorf("%w: %v, more than %d bytes", ErrTooLarge, codec, d.limit)
}
