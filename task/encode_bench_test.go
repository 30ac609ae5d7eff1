package task

import (
	"testing"
	"time"
)

// BenchmarkEncode makes and reads a message without an envelope.
func BenchmarkEncode(b *testing.B) {
	args, now := map[string]string{"email": "a@example.org"}, time.Now()
	b.Run("encode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := Encode("welcome", args, now, Pool("mailer-tasks")); err != nil {
				b.Fatal(err)
			}
		}
	})
	out, err := Encode("welcome", args, now)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("decode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			m, err := Decode(out.Body, out.Attributes)
			if err != nil || m.Name != "welcome" {
				b.Fatal(err)
			}
		}
	})
}
