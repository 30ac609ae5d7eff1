package systemtest_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/parts"
	"github.com/sambatech/chassis/systemtest/internal/kit"
	"github.com/sambatech/chassis/task"
)

// newService returns a system that serves on loopback.
func newService(t *testing.T, change func(*chassis.Settings)) *chassis.System {
	t.Helper()
	s := chassis.DefaultSettings()
	s.Admin.Listen = "127.0.0.1:0"
	if change != nil {
		change(&s)
	}
	sys, err := chassis.New("shop", chassis.WithSettings(s), chassis.WithLogOutput(t.Output()), chassis.WithoutDefaultLogger(), kit.ForTests)
	if err != nil {
		t.Fatal(err)
	}
	return sys
}

// loopback is a listener of the test's own, to know its address.
func loopback(t *testing.T) (net.Listener, string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l, "http://" + l.Addr().String()
}

// The servers end before the tasks drain, what the tasks use after them, and a request
// may use a breaker and send a task to its end.
func TestEverythingStopsInItsOrder(t *testing.T) {
	sys := newService(t, nil)
	var mu sync.Mutex
	var order []string
	note := func(what string) {
		mu.Lock()
		defer mu.Unlock()
		order = append(order, what)
	}
	running, leave := make(chan struct{}), make(chan struct{})
	work := task.Define[struct{}]("work")
	chassis.Handle(sys, work, func(context.Context, task.Job[struct{}]) error {
		close(running)
		<-leave
		note("task")
		return nil
	})
	mail := sys.Breaker("https://mail.internal")
	sys.OnStop("pool", func(context.Context) error { note("pool"); return nil })
	sys.Go("cache", func(ctx context.Context) error { <-ctx.Done(); note("cache"); return nil })
	sys.Go("consumer", func(ctx context.Context) error { <-ctx.Done(); note("consumer"); return nil }, parts.Intake())
	l, url := loopback(t)
	entered := make(chan struct{})
	sys.ServeOn(l, &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(entered)
		<-parts.Stopping(r.Context())
		time.Sleep(50 * time.Millisecond)
		if err := mail.Do(r.Context(), "/", func(context.Context) error { return nil }); err != nil {
			t.Errorf("the breaker refuses: %v", err)
		}
		if _, err := chassis.Send(r.Context(), sys, task.Define[struct{}]("late"), struct{}{}, task.Pool("other")); err != nil {
			t.Errorf("the sender refuses: %v", err)
		}
		note("request")
		close(leave)
	})})
	if err := sys.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := chassis.Send(t.Context(), sys, work, struct{}{}); err != nil {
		t.Fatal(err)
	}
	<-running
	answered := make(chan error, 1)
	go func() {
		res, err := http.Get(url)
		if err == nil {
			_, _ = io.Copy(io.Discard, res.Body)
			res.Body.Close()
		}
		answered <- err
	}()
	<-entered
	if err := sys.Stop(context.Background()); err != nil {
		t.Error(err)
	}
	if err := <-answered; err != nil {
		t.Error(err)
	}
	http.DefaultClient.CloseIdleConnections()
	i, task := slices.Index(order, "consumer"), slices.Index(order, "task")
	if rest := slices.Delete(slices.Clone(order), i, i+1); i < 0 || i > task || !slices.Equal(rest, []string{"request", "task", "cache", "pool"}) {
		t.Errorf("the order was %q", order)
	}
}

// Run returns the error of a part that has ended, once the drain is over.
func TestAPartThatFailsEndsTheServiceAfterItsDrain(t *testing.T) {
	sys := newService(t, nil)
	lost := errors.New("connection lost")
	done, closed := false, false
	running := make(chan struct{})
	work := task.Define[struct{}]("work")
	chassis.Handle(sys, work, func(context.Context, task.Job[struct{}]) error {
		close(running)
		time.Sleep(100 * time.Millisecond)
		done = true
		return nil
	})
	sys.OnStop("pool", func(context.Context) error { closed = true; return nil })
	sys.Go("relay", func(context.Context) error { <-running; return lost })
	if _, err := chassis.Send(t.Context(), sys, work, struct{}{}); err != nil {
		t.Fatal(err)
	}
	err := sys.Run(context.Background())
	if !errors.Is(err, lost) || !strings.Contains(err.Error(), `part "relay": connection lost`) || !done || !closed {
		t.Errorf("error %v, task done %v, pool closed %v", err, done, closed)
	}
}

// A port in use is an error of the start, before a task is taken.
func TestAPortInUseStartsNothing(t *testing.T) {
	l, _ := loopback(t)
	defer l.Close()
	sys := newService(t, nil)
	closed := false
	sys.OnStop("pool", func(context.Context) error { closed = true; return nil })
	sys.Serve(&http.Server{Addr: l.Addr().String()})
	work := task.Define[struct{}]("work")
	chassis.Handle(sys, work, func(context.Context, task.Job[struct{}]) error { t.Error("a task has run"); return nil })
	if _, err := chassis.Send(t.Context(), sys, work, struct{}{}); err != nil {
		t.Fatal(err)
	}
	if err := sys.Run(context.Background()); !errors.Is(err, syscall.EADDRINUSE) || !closed {
		t.Errorf("error %v, pool closed %v", err, closed)
	}
}

// A second signal, here the end of Stop's ctx, cuts a stuck request and a stuck part
// short too, and the error names both.
func TestASecondSignalCutsEveryStageShort(t *testing.T) {
	t.Parallel() // it waits in real time
	sys := newService(t, func(s *chassis.Settings) { s.Lifecycle.StopDelay = time.Minute })
	l, url := loopback(t)
	entered, leave := make(chan struct{}), make(chan struct{})
	sys.ServeOn(l, &http.Server{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { close(entered); <-leave })})
	sys.OnStop("flush", func(context.Context) error { <-leave; return nil })
	if err := sys.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		if res, err := http.Get(url + "/stuck"); err == nil {
			res.Body.Close()
		}
	}()
	<-entered
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	begun := time.Now()
	err := sys.Stop(ctx)
	if took := time.Since(begun); took > 15*time.Second {
		t.Errorf("the stop took %v", took)
	}
	for _, want := range []string{"GET /stuck", `part "flush"`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not name %q: %v", want, err)
		}
	}
	close(leave)
	<-answered
	http.DefaultClient.CloseIdleConnections()
}

// A request and a function of the service may stop it; they do not wait for themselves.
func TestAPartMayStopTheServiceThatItIsIn(t *testing.T) {
	sys := newService(t, nil)
	sys.Go("watchdog", func(ctx context.Context) error { return sys.Stop(ctx) })
	begun := time.Now()
	if err := sys.Run(context.Background()); err != nil {
		t.Error(err)
	}
	if took := time.Since(begun); took > 10*time.Second {
		t.Errorf("it took %v", took)
	}
}
