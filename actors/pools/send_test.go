package pools

import (
	"strings"
	"testing"
	"time"

	"github.com/sambatech/chassis/task"
)

func TestUniqueNeedsAFIFOPoolOrTheOutbox(t *testing.T) {
	for name, c := range map[string]struct {
		pool string
		opts []task.Option
		want string // of the error; empty: it is sent
	}{
		"a FIFO pool":           {"a.fifo", []task.Option{task.Unique("k", 5*time.Minute)}, ""},
		"a standard pool":       {"a", []task.Option{task.Unique("k", time.Minute)}, "by the outbox"},
		"too long a window":     {"a.fifo", []task.Option{task.Unique("k", 6*time.Minute)}, "by the outbox"},
		"until it is done":      {"a.fifo", []task.Option{task.UniqueUntilDone("k", time.Minute)}, "by the outbox"},
		"with a dedup id":       {"a.fifo", []task.Option{task.Unique("k", time.Minute), task.Dedup("d")}, "take one"},
		"without a key":         {"a", nil, ""},
		"a dedup id of its own": {"a.fifo", []task.Option{task.Dedup("d")}, ""},
	} {
		out, err := task.Encode("welcome", 1, time.Now(), append(c.opts, task.Pool(c.pool))...)
		if err != nil {
			t.Fatal(err)
		}
		err = byQueue(out)
		switch {
		case c.want == "" && (err != nil || out.OneOf.Key != "" && out.DedupID != out.OneOf.DedupID("welcome")):
			t.Errorf("%s: %q, error %v", name, out.DedupID, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: error %v, want one with %q", name, err, c.want)
		}
	}
}
