package seal

import (
	"fmt"

	"github.com/klauspost/compress/zstd"
)

// maxPlain bounds what Decompress makes of a small text: 16 MiB, above the largest body that intake takes.
const maxPlain = 16 << 20

var (
	encoder = newEncoder()
	decoder = newDecoder()
)

func newEncoder() *zstd.Encoder {
	e, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(2), zstd.WithWindowSize(128<<10))
	if err != nil {
		panic(err) // the options are constants
	}
	return e
}

func newDecoder() *zstd.Decoder {
	d, err := zstd.NewReader(nil, zstd.WithDecoderMaxMemory(maxPlain), zstd.WithDecoderConcurrency(2))
	if err != nil {
		panic(err) // the options are constants
	}
	return d
}

// Compress makes plain smaller (zstd). Compress first, then seal: sealed text does not shrink.
func Compress(plain []byte) []byte { return encoder.EncodeAll(plain, make([]byte, 0, len(plain)/2+64)) }

// Decompress undoes Compress; a text that would become more than 16 MiB is refused.
func Decompress(packed []byte) ([]byte, error) {
	plain, err := decoder.DecodeAll(packed, nil)
	if err != nil {
		return nil, fmt.Errorf("unpacking: %w", err)
	}
	return plain, nil
}
