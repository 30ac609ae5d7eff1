package logger

import (
	"log/slog"
	"reflect"
	"testing"
	"testing/synctest"
	"time"
)

func TestSamplingCountsWhatItLeavesOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := &sink{}
		l := newLogger(t, Settings{Sampling: Sampling{First: 3, Thereafter: 10}}, out)
		for range 33 {
			l.Slog().Info("often")
			l.Slog().Error("never left out")
		}
		l.Slog().Info("once")
		time.Sleep(time.Second)
		l.Slog().Info("often")
		count := map[any]int{}
		var sampled float64
		for _, m := range out.lines(t) {
			count[m["msg"]]++
			if n, ok := m["sampled"].(float64); ok {
				sampled += n
			}
		}
		// 3 first, then the 13th, 23rd and 33rd; then one in a new interval.
		want := map[any]int{"often": 7, "never left out": 33, "once": 1}
		if !reflect.DeepEqual(count, want) {
			t.Errorf("kept %v, want %v", count, want)
		}
		if s := l.Stats(); s.Sampled != 27 || sampled != 27 {
			t.Errorf("left out: stats say %d, the records %v, want 27", s.Sampled, sampled)
		}
	})
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
