package logger

import (
	"bytes"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestRingAgainstAModel appends, takes, writes in part, is interrupted, and
// reopens at random; the model is the list of numbers that went in.
func TestRingAgainstAModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		policy := rapid.SampledFrom([]Policy{PolicyBlock, PolicyDropBelow, PolicyDropOldest}).Draw(t, "policy")
		r := newRing(minBuffer, policy, slog.LevelWarn)
		var in uint64 // records that went in
		own := 0
		var out []byte     // what the output has, whole and cut lines
		var cut []byte     // of the record that a reopened output has the start of
		var taken *chunk   // being written
		var awaited uint64 // the highest record that a waiter knows to be out
		line := func() []byte {
			in++
			pad := rapid.SampledFrom([]int{1, 100, 5000, chunkSize - 100, chunkSize + 1000}).Draw(t, "pad")
			return fmt.Appendf(nil, "%d %s\n", in, bytes.Repeat([]byte{'x'}, pad))
		}
		t.Repeat(map[string]func(*rapid.T){
			"append": func(t *rapid.T) {
				level := rapid.SampledFrom([]slog.Level{slog.LevelInfo, slog.LevelError, LevelEmergency}).Draw(t, "level")
				r.append(line(), level, true)
			},
			"own": func(*rapid.T) {
				in++
				own++
				r.force(fmt.Appendf(nil, "%d own\n", in))
			},
			"take": func(t *rapid.T) {
				if c := r.take(); c != taken && taken != nil {
					t.Fatal("an interrupted chunk is not given again")
				} else {
					taken = c
				}
			},
			"write a part": func(t *rapid.T) {
				if taken == nil {
					t.Skip()
				}
				n := rapid.IntRange(0, len(taken.data)-taken.off).Draw(t, "n")
				out = append(out, taken.data[taken.off:taken.off+n]...)
				taken.off += n
			},
			"finish": func(t *rapid.T) {
				if taken == nil {
					t.Skip()
				}
				out = append(out, taken.data[taken.off:]...)
				r.done(taken)
				taken = nil
			},
			"reopen": func(t *rapid.T) {
				r.rewind()
				whole := bytes.LastIndexByte(out, '\n') + 1
				cut = append(cut, out[whole:]...) // stays in the old file
				out = out[:whole]
			},
			"lossy": func(t *rapid.T) { r.setLossy(rapid.Bool().Draw(t, "lossy")) },
			"await": func(t *rapid.T) {
				seq := rapid.Uint64Range(0, in).Draw(t, "seq")
				if ok, _ := r.await(seq, time.Nanosecond, nil); ok {
					awaited = max(awaited, seq)
				}
			},
			"": func(t *rapid.T) {
				s := r.stats()
				if s.Accepted != in || s.Accepted != s.Written+s.Dropped+s.Pending {
					t.Fatalf("%d went in: %+v", in, s)
				}
				if s.Peak > s.Buffer+chunkSize*own { // each of the logger's own records may open a chunk
					t.Fatalf("held up to %d of %d", s.Peak, s.Buffer)
				}
				if (s.Pending > 0) != r.waiting() {
					t.Fatalf("waiting is %v: %+v", r.waiting(), s)
				}
				if oldest := r.oldest(); awaited >= oldest {
					t.Fatalf("record %d was said to be out, %d is the oldest held", awaited, oldest)
				}
			},
		})
		for c := r.take(); c != nil; c = r.take() {
			out = append(out, c.data[c.off:]...)
			r.done(c)
		}
		s := r.stats()
		last, lines := 0, uint64(0)
		for _, l := range bytes.SplitAfter(out, []byte{'\n'}) {
			if len(l) == 0 {
				continue
			}
			var n int
			if _, err := fmt.Sscanf(string(l[:min(len(l), 20)]), "%d", &n); err != nil || n <= last || l[len(l)-1] != '\n' {
				t.Fatalf("after record %d comes %.30q", last, l)
			}
			last = n
			lines++
		}
		if s.Pending != 0 || s.Held != 0 || lines != s.Written || s.Written+s.Dropped != in {
			t.Fatalf("%d went in, %d lines came out: %+v", in, lines, s)
		}
	})
}

// The memory of a burst is used again by the next one, and given up as the ring is empty again and again.
func TestTheMemoryOfABurst(t *testing.T) {
	r := newRing(256*chunkSize, PolicyBlock, slog.LevelWarn)
	drain := func() {
		for c := r.take(); c != nil; c = r.take() {
			r.done(c)
		}
	}
	line := bytes.Repeat([]byte{'x'}, chunkSize)
	burst := func() {
		for range 100 {
			r.append(line, slog.LevelInfo, false)
		}
		drain()
	}
	burst()
	if len(r.free) != maxFree {
		t.Errorf("%d chunks are kept after a burst, want %d", len(r.free), maxFree)
	}
	kept := r.free[maxFree-1]
	r.append(line, slog.LevelInfo, false)
	if r.cur != kept {
		t.Error("a chunk that is kept is not used again")
	}
	for range trimEvery * maxFree {
		drain()
	}
	if len(r.free) != keptFree {
		t.Errorf("%d chunks are kept after a long time, want %d", len(r.free), keptFree)
	}
}
