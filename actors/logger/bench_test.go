package logger

import (
	"context"
	"io"
	"log/slog"
	"testing"
	"time"

	"github.com/sambatech/chassis/task"
)

// BenchmarkEncode is a call without its output: the front of slog, the
// encoding, and the copy into a ring that drops its chunks.
func BenchmarkEncode(b *testing.B) {
	job := task.WithInfo(context.Background(), &task.Info{JobID: "8e6b1c9e-5f1c-4a7e-9d2a-3f5f7d0c1b2a", JobName: "nightly import"})
	for _, format := range []Format{FormatJSON, FormatStackdriver, FormatText} {
		for _, attrs := range []int{0, 5, 6} {
			b.Run(string(format)+"/"+string(rune('0'+attrs)), func(b *testing.B) {
				l := newLogger(b, Settings{Format: format}, io.Discard)
				start(b, l)
				log := l.Slog()
				all := []slog.Attr{
					slog.String("method", "POST"), slog.String("path", "/v1/videos/42/renditions"), slog.Int("status", 201),
					slog.Int64("size", 18230), slog.Float64("ratio", 0.8125), slog.Duration("elapsed", 12345*time.Microsecond),
				}[:attrs]
				b.ReportAllocs()
				for b.Loop() {
					log.LogAttrs(job, slog.LevelInfo, "request was handled", all...)
				}
			})
		}
	}
}
