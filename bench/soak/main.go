// Soak runs mixed work in one process for a while, at a modest rate, and looks
// whether anything grows with the time or is lost.
//
//	go run ./soak -for 1h
//
// It exits with 1 if memory, goroutines, descriptors, actors or the queue's
// file are not flat over the second half of the run, if a task is neither done
// nor a dead letter, ends twice, or if anything else went wrong. Runs of less
// than a quarter of an hour say little about memory: what is filled once (pools,
// logs of transitions, the queue's file) is not full by then.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"go.uber.org/goleak"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/actors/breaker"
	"github.com/sambatech/chassis/queue/localsqs"
)

// lease is short, so that some tasks outlive it.
const lease = 10 * time.Second

type soak struct {
	dir     string
	heap    string // folder of the heap profiles; none if empty
	begun   time.Time
	sys     *chassis.System
	log     *slog.Logger
	pool    string // URL of the tasks' queue
	ledger  *ledger
	remotes []*remote
	healthy *breaker.Breaker

	lines, reloads, scrapes atomic.Int64
}

func main() {
	length := flag.Duration("for", time.Hour, "how long work is sent")
	rate := flag.Int("rate", 100, "tasks a second")
	interval := flag.Duration("every", 15*time.Second, "time between two samples")
	heap := flag.String("heap", "", "write heap profiles into this folder: half.pprof in the middle and end.pprof at the end, to be held against each other by go tool pprof -base")
	out := flag.String("o", "", "write the page to this file, and its chart into the folder images next to it")
	flag.Parse()
	if *heap != "" {
		runtime.MemProfileRate = 16 << 10 // a leak of a few bytes a task shows in minutes
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *length, *rate, *interval, *heap, *out); err != nil {
		fmt.Fprintln(os.Stderr, "soak:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, length time.Duration, rate int, interval time.Duration, heap, out string) (err error) {
	if rate < 1 || interval <= 0 || length < max(2*cycle, 8*interval) {
		return fmt.Errorf("-for %v -every %v -rate %d: want a rate of 1 at least, two cycles of the remote services (%v) and time for 8 samples", length, interval, rate, 2*cycle)
	}
	dir, err := os.MkdirTemp("", "soak")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if heap != "" {
		if err := os.MkdirAll(heap, 0o755); err != nil {
			return err
		}
	}
	s := &soak{dir: dir, heap: heap, ledger: newLedger()}
	samples, lines, err := s.live(ctx, length, rate, interval)
	if err != nil {
		return err
	}
	trends := fit(samples)
	grows := 0
	for _, t := range trends {
		fmt.Println(t)
		if !t.flat {
			grows++
		}
	}
	lost := s.ledger.lost()
	faults := s.ledger.faults
	for _, list := range [][]string{lost, faults} {
		for _, text := range list[:min(len(list), 20)] {
			fmt.Println("  " + text)
		}
	}
	verdict := fmt.Sprintf("SOAK verdict: %d of %d grow, %d lost, %d faults", grows, len(trends), len(lost), len(faults)+s.ledger.more)
	if whole := time.Since(s.begun); whole < length {
		verdict += fmt.Sprintf(" (ended early, after %v)", whole.Round(time.Second))
	}
	lines = append(lines, verdict)
	for _, line := range lines {
		fmt.Println(line)
	}
	if out != "" {
		err = writePage(out, samples[len(samples)-1].at, samples, trends, lines)
	}
	if grows+len(lost)+len(faults) > 0 {
		err = errors.Join(err, errors.New("something grows or was lost"))
	}
	return err
}

func (s *soak) queueFile() string { return filepath.Join(s.dir, "queue.db") }

// live starts everything, lets it work, and ends it; the error is of what kept
// it from doing so.
func (s *soak) live(ctx context.Context, length time.Duration, rate int, interval time.Duration) (samples []sample, lines []string, err error) {
	before := goleak.IgnoreCurrent()
	server, err := localsqs.New(localsqs.Path(s.queueFile()))
	if err != nil {
		return nil, nil, err
	}
	pipe, end, err := os.Pipe()
	if err != nil {
		return nil, nil, errors.Join(err, server.Close())
	}
	var reader sync.WaitGroup
	reader.Go(func() { s.read(pipe) })
	err = s.build(server, end, rate)
	if err == nil {
		s.begun = time.Now()
		samples, err = s.work(ctx, length, rate, interval)
		lines = s.accounts()
	}
	if s.sys != nil {
		err = errors.Join(err, s.sys.Stop(context.Background()))
		o := s.sys.Log().Stats().Outputs[0]
		err = errors.Join(err, end.Close())
		reader.Wait()
		if n := uint64(s.lines.Load()); o.Accepted != o.Written || o.Written != n || o.Dropped != 0 {
			s.ledger.Fault("log: %d records accepted, %d written, %d dropped, %d lines read", o.Accepted, o.Written, o.Dropped, n)
		}
		lines = append(lines, fmt.Sprintf("SOAK log records=%d bytes=%d dropped=%d waits=%d", o.Written, o.Bytes, o.Dropped, o.Waits))
	}
	for _, r := range s.remotes {
		err = errors.Join(err, r.close())
	}
	err = errors.Join(err, pipe.Close(), server.Close())
	time.Sleep(2 * time.Second) // Proto.Actor's throttle of dead letters sleeps for a second
	if leaked := goleak.Find(before); err == nil && leaked != nil {
		s.ledger.Fault("goroutines after the end: %v", leaked)
	}
	return samples, lines, err
}
