package fleet

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/actors/breaker"
)

func TestMain(m *testing.M) {
	if os.Getenv(nodeVariable) != "" {
		runNode()
		return
	}
	code := m.Run()
	// A probe of memberlist that is under way ends up to a probe interval after its shut-down.
	err := goleak.Find()
	for end := time.Now().Add(5 * time.Second); err != nil && time.Now().Before(end); {
		err = goleak.Find()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = max(code, 1)
	}
	os.Exit(code)
}

// full reports whether tests have their full size.
func full() bool { return os.Getenv("CHASSIS_SCALE") == "full" }

var errDown = errors.New("503")

// newSystem returns a system on an embedded queue, with short open times.
func newSystem(t testing.TB) *chassis.System {
	t.Helper()
	sys, err := systemOf(breaker.Settings{ClosedFailLimit: 3, OpenTimeout: 2 * time.Second, HalfSuccessLimit: 2})
	if err != nil {
		t.Fatal(err)
	}
	return sys
}

func systemOf(limits breaker.Settings) (*chassis.System, error) {
	s := chassis.DefaultSettings()
	s.CircuitBreaker.Settings = limits
	if n, err := strconv.Atoi(os.Getenv(holdVariable)); err == nil {
		s.Tasks.Workers, s.Tasks.MaxWorkers = n, n
	}
	return chassis.New("mailer", chassis.WithSettings(s), chassis.WithLogOutput(io.Discard), chassis.WithoutDefaultLogger())
}

// loopback are settings for a member on a free port.
func loopback(seeds ...string) Settings { return Settings{Bind: "127.0.0.1:0", Seeds: seeds} }

// joinAndStart returns a member that runs.
func joinAndStart(t testing.TB, s Settings, opts ...Option) (*chassis.System, *Fleet) {
	t.Helper()
	sys := newSystem(t)
	f, err := Join(sys, s, opts...)
	if err != nil {
		t.Fatal(err)
	}
	if err := sys.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, sys) })
	return sys, f
}

func stop(t testing.TB, sys *chassis.System) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := sys.Stop(ctx); err != nil {
		t.Error(err)
	}
}

// eventually waits for what another goroutine, or another process, is to bring about.
func eventually(t testing.TB, what string, within time.Duration, ok func() bool) time.Duration {
	t.Helper()
	begun := time.Now()
	for !ok() {
		if time.Since(begun) > within {
			t.Fatalf("%s: not within %v", what, within)
		}
		time.Sleep(2 * time.Millisecond)
	}
	return time.Since(begun)
}

// sized reports whether a member sees a number of members.
func sized(f *Fleet, n int) func() bool {
	return func() bool {
		m, err := f.Members(context.Background())
		return err == nil && len(m) == n
	}
}

func down(context.Context) error { return errDown }
func fine(context.Context) error { return nil }

// trip makes the breaker of a system open by failures of its own.
func trip(sys *chassis.System, service string) {
	b := sys.Breaker(service)
	for range 3 {
		_ = b.Do(context.Background(), "", down)
	}
}
