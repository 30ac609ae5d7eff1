package envelope

import (
	"crypto/aes"
	"crypto/cipher"
	"fmt"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/sambatech/chassis/task"
)

var sizes = []int{200, 10 << 10, 150 << 10}

func args(n int) string {
	var b strings.Builder
	b.WriteString(`{"rows": [`)
	for i := 0; b.Len() < n-20; i++ {
		fmt.Fprintf(&b, `{"id": %d, "sum": %d}, `, i, i*i*7919%1000)
	}
	b.WriteString(`0]}`)
	return b.String()
}

// BenchmarkEnvelope seals and opens by the envelope.
func BenchmarkEnvelope(b *testing.B) {
	e := made(b, Config{Keys: ring(b, Key{"k1", secret(1)})})
	for _, n := range sizes {
		p := parcel(args(n), task.Compress|task.Encrypt)
		body, _, err := e.Seal(b.Context(), p)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(fmt.Sprint("seal/", n), func(b *testing.B) {
			b.SetBytes(int64(len(p.Body)))
			b.ReportAllocs()
			for b.Loop() {
				_, _, _ = e.Seal(b.Context(), p)
			}
		})
		l := letter(body)
		b.Run(fmt.Sprint("open/", n), func(b *testing.B) {
			b.SetBytes(int64(len(p.Body)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := e.Open(b.Context(), l); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkLibraries does the same by AES-GCM and zstd alone: bytes to bytes, without JSON.
func BenchmarkLibraries(b *testing.B) {
	block, err := aes.NewCipher(secret(1))
	if err != nil {
		b.Fatal(err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		b.Fatal(err)
	}
	zip, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(2), zstd.WithLowerEncoderMem(true))
	if err != nil {
		b.Fatal(err)
	}
	unzip, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(2))
	if err != nil {
		b.Fatal(err)
	}
	defer unzip.Close()
	for _, n := range sizes {
		plain := []byte(args(n))
		packed := func() []byte {
			if n < DefaultCompressFrom {
				return plain
			}
			return zip.EncodeAll(plain, nil)
		}
		sealed := aead.Seal(nil, nil, packed(), nil)
		b.Run(fmt.Sprint("seal/", n), func(b *testing.B) {
			b.SetBytes(int64(len(plain)))
			b.ReportAllocs()
			for b.Loop() {
				_ = aead.Seal(nil, nil, packed(), nil)
			}
		})
		b.Run(fmt.Sprint("open/", n), func(b *testing.B) {
			b.SetBytes(int64(len(plain)))
			b.ReportAllocs()
			for b.Loop() {
				data, err := aead.Open(nil, nil, sealed, nil)
				if err == nil && n >= DefaultCompressFrom {
					_, err = unzip.DecodeAll(data, nil)
				}
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
