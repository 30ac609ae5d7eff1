package logger

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/sambatech/chassis/task"
)

// The marks of a cut counted too little: not what was left out before the line was
// encoded, and in the text form the length of what was kept as well.
func TestWhatIsCutIsCountedRight(t *testing.T) {
	const size = 50_000
	long := strings.Repeat("x", size)
	for _, format := range []Format{FormatJSON, FormatStackdriver, FormatText} {
		for where, log := range map[string]func(*slog.Logger){
			"value":   func(l *slog.Logger) { l.Info("m", "long", long) },
			"with":    func(l *slog.Logger) { l.With("long", long).Info("m") },
			"message": func(l *slog.Logger) { l.Info(long) },
		} {
			out := &sink{}
			l := newLogger(t, Settings{Format: format, MaxLine: 1024, Source: "off"}, out)
			log(l.Slog())
			got := out.String()
			if len(got) > 1024 {
				t.Errorf("%s: %s: %d bytes", format, where, len(got))
			}
			kept := strings.Count(got, "xx")*2 + strings.Count(strings.ReplaceAll(got, "xx", ""), "x")
			_, mark, _ := strings.Cut(got, "…[cut ")
			var cut int
			if _, err := fmt.Sscanf(mark, "%d bytes]", &cut); err != nil {
				t.Fatalf("%s: %s: %v: %s", format, where, err, got)
			}
			after := 0 // the text form also cuts what stands behind the value
			if format == FormatText {
				after = len(" service=mailer job_id=unknown job_name=unknown")
			}
			if kept+cut-after != size {
				t.Errorf("%s: %s: %d bytes are kept and %d cut, of %d", format, where, kept, cut, size)
			}
			if format == FormatText {
				continue
			}
			if n := out.last(t)["truncated"].(float64); n < size || n > size+300 {
				t.Errorf("%s: %s: the line would have had %v bytes", format, where, n)
			}
		}
	}
}

// An id was cut to less than an id by a mark as long as what it took.
func TestShortValuesAreNotCut(t *testing.T) {
	const id = "123e4567-e89b-42d3-a456-426614174000"
	out := &sink{}
	l := newLogger(t, Settings{MaxLine: 1024}, out)
	args := []any{"request_id", id}
	for i := range 200 {
		args = append(args, fmt.Sprint("k", i), strings.Repeat("v", 40))
	}
	l.Slog().InfoContext(task.WithInfo(t.Context(), &task.Info{ExecID: id}), "m", args...)
	if m := out.last(t); m["exec_id"] != id || m["request_id"] != id || len(out.String()) > 1024 {
		t.Errorf("%s", out)
	}
}

// A record with a time of tomorrow, from another machine's clock, made today
// one interval: all records like it were left out until then.
func TestSamplingOutlivesARecordFromTheFuture(t *testing.T) {
	out := &sink{}
	l := newLogger(t, Settings{Sampling: Sampling{First: 1}}, out)
	now := time.Now()
	for _, at := range []time.Time{now.Add(24 * time.Hour), now, now.Add(2 * time.Second), now.Add(4 * time.Second)} {
		if err := l.Handler().Handle(t.Context(), slog.NewRecord(at, slog.LevelInfo, "m", 0)); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(out.lines(t)); n != 4 {
		t.Errorf("%d of 4 records, each in an interval of its own", n)
	}
}
