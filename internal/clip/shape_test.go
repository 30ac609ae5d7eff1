package clip_test

import (
	"strings"
	"testing"

	"github.com/sambatech/chassis/internal/clip"
)

func TestShapeIsOneForErrorsOfOneCause(t *testing.T) {
	for _, same := range [][2]string{
		{"order 17 has no address", "order 4711 has no address"},
		{`no customer "ann \"x\" b"`, `no customer "bob"`},
		{"dial tcp 10.0.3.17:5432: connection refused", "dial tcp 10.0.9.2:5432: connection refused"},
		{"invoice 2f1c3a9e-6a1b-4e0e-9b57-4f7d3a1f8f5e is locked", "invoice 0a0b0c0d-0000-4000-8000-000000000001 is locked"},
		{"blob deadbeef00 is gone", "blob 0123456789abcdef is gone"},
		{"took 1.5s\n  of 2s", "took 17.25s of 3s"},
	} {
		if a, b := clip.Shape(same[0]), clip.Shape(same[1]); a != b {
			t.Errorf("%q and %q are %q and %q", same[0], same[1], a, b)
		}
	}
	for _, other := range [][2]string{
		{"answered with 404", "answered with 503"},
		{"the facade is down", "the cascade is down"},
		{"effaced cafebabe", "effaced facefeed"}, // words of hex letters alone stay
		{"connection refused", "connection reset"},
	} {
		if a, b := clip.Shape(other[0]), clip.Shape(other[1]); a == b {
			t.Errorf("%q and %q are both %q", other[0], other[1], a)
		}
	}
	if got := clip.Shape("a\x1b[2Jb " + strings.Repeat("x", 1<<20)); len(got) > clip.Text || strings.Contains(got, "\x1b") {
		t.Errorf("%d bytes: %.60q", len(got), got)
	}
	if got := clip.Shape(strings.Repeat("1 ", clip.Text)); len(got) > clip.Text {
		t.Errorf("%d bytes of numbers", len(got))
	}
}
