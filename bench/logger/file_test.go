package logger

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"
)

// BenchmarkFile is a call to a file, the last record flushed.
func BenchmarkFile(b *testing.B) {
	for _, im := range impls {
		b.Run(im.name, func(b *testing.B) {
			f, err := os.Create(filepath.Join(b.TempDir(), "log"))
			if err != nil {
				b.Fatal(err)
			}
			defer f.Close()
			call, flush := im.make(b, f)
			b.ReportAllocs()
			b.ResetTimer()
			for range b.N {
				call()
			}
			flush()
		})
	}
}

// BenchmarkFive is our call with five attributes, which a slog.Record holds
// without an allocation: there must be none.
func BenchmarkFive(b *testing.B) {
	b.Run("ours", func(b *testing.B) {
		w, wait := reader(b, "all")
		l, flush := ours(b, w)
		b.ReportAllocs()
		b.ResetTimer()
		for range b.N {
			l.LogAttrs(job, slog.LevelInfo, message,
				slog.String("method", method), slog.String("path", path), slog.Int("status", status),
				slog.Int64("size", size), slog.Duration("elapsed", elapsed))
		}
		b.StopTimer()
		flush()
		if got, _ := wait(); got != b.N {
			b.Fatalf("%d of %d records arrived", got, b.N)
		}
	})
}
