package logger

import (
	"hash/maphash"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// sampler counts records by level and message in a fixed table, so its memory
// is bounded whatever is logged.
type sampler struct {
	first, thereafter uint64
	interval          time.Duration
	seed              maphash.Seed
	slots             [4096]sampleSlot
	left              atomic.Uint64 // records left out, in all
}

type sampleSlot struct {
	mu    sync.Mutex
	hash  uint64 // of the records that it counts now
	until time.Time
	n     uint64 // records in this interval
	left  uint64 // records left out since one was kept
}

func newSampler(s Sampling) *sampler {
	if s.First == 0 {
		return nil
	}
	return &sampler{
		first: uint64(s.First), thereafter: uint64(s.Thereafter),
		interval: s.Interval, seed: maphash.MakeSeed(),
	}
}

// check says whether the record is kept and, if so, how many like it were left
// out since the last that was kept.
func (s *sampler) check(now time.Time, level slog.Level, msg string) (keep bool, left uint64) {
	if now.IsZero() {
		now = time.Now()
	}
	hash := maphash.String(s.seed, msg) ^ uint64(level)*0x9E3779B97F4A7C15
	slot := &s.slots[hash%uint64(len(s.slots))]
	slot.mu.Lock()
	defer slot.mu.Unlock()
	if slot.hash != hash {
		slot.hash, slot.until, slot.n, slot.left = hash, time.Time{}, 0, 0
	}
	// A record from the future must not make this one interval until then.
	if !now.Before(slot.until) || slot.until.Sub(now) > s.interval {
		slot.until, slot.n = now.Add(s.interval), 0
	}
	slot.n++
	if slot.n > s.first && (s.thereafter == 0 || (slot.n-s.first)%s.thereafter != 0) {
		slot.left++
		s.left.Add(1)
		return false, 0
	}
	left, slot.left = slot.left, 0
	return true, left
}

func (e *enc) uintField(name string, v uint64) {
	if e.form.text {
		e.b = append(e.b, ' ')
	} else {
		e.b = append(e.b, ',', '"')
	}
	e.b = append(e.b, name...)
	if e.form.text {
		e.b = append(e.b, '=')
	} else {
		e.b = append(e.b, '"', ':')
	}
	e.b = strconv.AppendUint(e.b, v, 10)
}
