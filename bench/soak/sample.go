package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/stat"
)

// quantity is something that must not grow with the time.
type quantity struct {
	name, unit string
	scale      float64 // of the unit
	floor      float64 // a rise that is no rise, in the unit
}

// quantities in the order of a sample's figures. A rise within the second half
// of the run counts as flat if it is below the floor or below 5 % of the median.
var quantities = []quantity{
	{"resident memory", "MiB", 1 << 20, 4},
	{"heap after a collection", "MiB", 1 << 20, 1},
	{"goroutines", "", 1, 5},
	{"file descriptors", "", 1, 5},
	{"actors", "", 1, 5},
	{"files of the queue", "MiB", 1 << 20, 1},
}

const share = 0.05

type sample struct {
	at      time.Duration
	figures [6]float64 // in the order of the quantities
	open    int        // tasks that are not over
}

func (s *soak) sample() (sample, error) {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	statm, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return sample{}, err
	}
	pages, err := strconv.Atoi(strings.Fields(string(statm))[1])
	if err != nil {
		return sample{}, fmt.Errorf("/proc/self/statm: %w", err)
	}
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return sample{}, err
	}
	queue, err := s.queueSize()
	if err != nil {
		return sample{}, err
	}
	actors := 0
	for _, bucket := range s.sys.Actors().ProcessRegistry.LocalPIDs.LocalPIDs {
		actors += bucket.Count()
	}
	return sample{
		at: time.Since(s.begun), open: s.ledger.outstanding(),
		figures: [6]float64{
			float64(pages * os.Getpagesize()), float64(m.HeapAlloc), float64(runtime.NumGoroutine()),
			float64(len(files) - 1), float64(actors), queue, // without the descriptor of the listing
		},
	}, nil
}

// queueSize returns the size of the queue's file and of its journal, which has the
// same name with an ending.
func (s *soak) queueSize() (float64, error) {
	files, err := filepath.Glob(s.queueFile() + "*")
	if err != nil {
		return 0, err
	}
	sum := int64(0)
	for _, name := range files {
		info, err := os.Stat(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue // it has just been replaced
		}
		if err != nil {
			return 0, err
		}
		sum += info.Size()
	}
	return float64(sum), nil
}

// trend is what became of a quantity.
type trend struct {
	quantity
	first, median, last float64 // of the first sample; of the second half; of the last sample
	slope               float64 // per hour, over the second half
	rise, allowed       float64 // over the second half
	flat                bool
}

// fit draws a line through the second half of the samples, by which time what
// is filled once is full. Its slope is the median of the slopes between all
// pairs (Theil and Sen): single spikes do not move it.
func fit(samples []sample) []trend {
	half := samples[len(samples)/2:]
	length := half[len(half)-1].at - half[0].at
	var all []trend
	for i, q := range quantities {
		var slopes, values []float64
		for k, b := range half {
			values = append(values, b.figures[i]/q.scale)
			for _, a := range half[:k] {
				slopes = append(slopes, (b.figures[i]-a.figures[i])/q.scale/(b.at-a.at).Hours())
			}
		}
		t := trend{quantity: q, first: samples[0].figures[i] / q.scale, last: values[len(values)-1], median: median(values), slope: median(slopes)}
		t.rise = t.slope * length.Hours()
		t.allowed = max(q.floor, share*t.median)
		t.flat = t.rise <= t.allowed
		all = append(all, t)
	}
	return all
}

func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Clone(values)
	slices.Sort(sorted)
	return stat.Quantile(0.5, stat.LinInterp, sorted, nil)
}

func (t trend) String() string {
	word := "flat"
	if !t.flat {
		word = "grows"
	}
	return fmt.Sprintf("SOAK %s first=%s median=%s last=%s slope=%+.3g/h rise=%+.3g allowed=%.3g %s",
		strings.ReplaceAll(t.name, " ", "-"), t.figure(t.first), t.figure(t.median), t.figure(t.last), t.slope, t.rise, t.allowed, word)
}

func (t trend) figure(v float64) string {
	if t.unit == "" {
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	return fmt.Sprintf("%.1f%s", v, t.unit)
}

// cpu is the processor time of the process so far.
func cpu() time.Duration {
	var use syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &use); err != nil {
		return 0
	}
	return time.Duration(use.Utime.Nano() + use.Stime.Nano())
}

// most is the largest of a quantity's figures.
func most(samples []sample, i int) float64 {
	var values []float64
	for _, s := range samples {
		values = append(values, s.figures[i]/quantities[i].scale)
	}
	return floats.Max(values)
}
