package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// fleet are the worker processes. Each is killed or asked to stop after a few
// seconds, and replaced.
type fleet struct {
	endpoint, dir string

	mu       sync.Mutex
	ended    map[int]int64 // pid → when it was gone
	killed   int
	stopped  int
	overruns []string // processes that did not stop in time
}

// stopLimit is what a worker may take to stop: the drain, the time for a
// handler that ignores its ctx, a second, and what a slow machine adds.
const stopLimit = drainTimeout + abandonAfter + 2*time.Second

// tend keeps one place of the fleet filled until ctx ends; then it stops the
// worker in an orderly way.
func (f *fleet) tend(ctx context.Context) error {
	for {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), "CHAOS_WORKER="+f.endpoint, "CHAOS_DIR="+f.dir,
			"AWS_ACCESS_KEY_ID=local", "AWS_SECRET_ACCESS_KEY=local")
		cmd.Stderr = os.Stderr
		if err := cmd.Start(); err != nil {
			return err
		}
		gone := make(chan struct{})
		go func() { _ = cmd.Wait(); close(gone) }()
		over := false
		select {
		case <-time.After(time.Duration(2000+rand.IntN(8000)) * time.Millisecond):
		case <-gone: // it could not start: the queue is down
		case <-ctx.Done():
			over = true
		}
		if !over && rand.IntN(2) == 0 {
			_ = cmd.Process.Kill()
			<-gone
			f.gone(cmd.Process.Pid, &f.killed)
		} else {
			f.stop(cmd, gone)
		}
		if over {
			return nil
		}
	}
}

func (f *fleet) stop(cmd *exec.Cmd, gone chan struct{}) {
	_ = cmd.Process.Signal(syscall.SIGTERM)
	begun := time.Now()
	select {
	case <-gone:
	case <-time.After(stopLimit + 20*time.Second): // a stop during an outage waits for its last requests
		f.mu.Lock()
		f.overruns = append(f.overruns, fmt.Sprintf("worker %d had not stopped after %v", cmd.Process.Pid, time.Since(begun)))
		f.mu.Unlock()
		_ = cmd.Process.Kill()
		<-gone
	}
	f.gone(cmd.Process.Pid, &f.stopped)
}

func (f *fleet) gone(pid int, count *int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ended[pid] = time.Now().UnixNano()
	*count++
}
