package rare

import (
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A record of thousands that were shed: one a second, with the number of the others.
func TestALineASecond(t *testing.T) {
	var o Line
	now := time.Unix(100, 0)
	for i, c := range []struct {
		after time.Duration
		kept  int64
		ok    bool
	}{{0, 0, true}, {1, 0, false}, {999 * time.Millisecond, 0, false}, {time.Second, 2, true}, {time.Second + 1, 0, false}, {3 * time.Second, 1, true}} {
		if kept, ok := o.Allow(now.Add(c.after)); kept != c.kept || ok != c.ok {
			t.Errorf("%d: %d %v", i, kept, ok)
		}
	}
}
