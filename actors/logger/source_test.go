package logger

import (
	"strings"
	"sync"
	"testing"
)

func TestSourceLocation(t *testing.T) {
	for _, c := range []struct {
		format Format
		source string
		want   bool
	}{
		{FormatJSON, "", false}, {FormatJSON, "on", true}, {FormatStackdriver, "", true}, {FormatStackdriver, "off", false}, {FormatText, "", true}, {FormatText, "off", false},
	} {
		out := &sink{}
		l := newLogger(t, Settings{Format: c.format, Source: c.source}, out)
		l.Slog().Info("m")
		if got := strings.Contains(out.String(), "source_test.go"); got != c.want {
			t.Errorf("%s, source %q: %s", c.format, c.source, out.String())
		}
	}
}

// TestFirstUseOfManyPlacesAtOnce: the table of places is read without a lock.
func TestFirstUseOfManyPlacesAtOnce(t *testing.T) {
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for pc := range 200 {
				if p := sourceOf(uintptr(pc + i)); p == nil {
					t.Error("nil")
				}
			}
		})
	}
	wg.Wait()
}
