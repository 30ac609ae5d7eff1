package breaker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"
)

func newGroup(t *testing.T, cfg GroupConfig) *Group {
	t.Helper()
	cfg.System = newSystem(t)
	g := NewGroup(cfg)
	t.Cleanup(func() {
		if err := g.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return g
}

func member(t *testing.T, g *Group, service string, opts ...Option) *Breaker {
	t.Helper()
	b, err := g.Breaker(service, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestGroupHasOneBreakerForAServiceInAnySpelling(t *testing.T) {
	g := newGroup(t, GroupConfig{})
	mail := member(t, g, "https://mail.internal")
	for _, spelling := range []string{"HTTPS://Mail.Internal", "https://mail.internal:443", "https://mail.internal/"} {
		if member(t, g, spelling) != mail {
			t.Errorf("%s has a breaker of its own", spelling)
		}
	}
	member(t, g, "https://a.internal")
	if all := g.Breakers(); len(all) != 2 || all[0].Service() != "https://a.internal" || all[1] != mail {
		t.Errorf("breakers %v", all)
	}
	if g.Find("https://mail.internal") != mail || g.Find("https://other.internal") != nil {
		t.Error("Find returns another breaker")
	}
	if _, err := g.Breaker("mail.internal"); err == nil {
		t.Error("a service without a scheme has a breaker")
	}
}

// One more service than the limit has a breaker of its own; the rest share one
// that admits every call, and one record says so.
func TestGroupSharesOneOpenDoorBeyondItsLimit(t *testing.T) {
	var log bytes.Buffer
	g := newGroup(t, GroupConfig{Limit: 3, Logger: slog.New(slog.NewTextHandler(&log, nil)),
		Settings: GroupSettings{Settings: Settings{ClosedFailLimit: 1}}})
	var last *Breaker
	for i := range 6 {
		b := member(t, g, fmt.Sprintf("https://host-%d.example", i))
		_ = b.Do(t.Context(), "/", fail)
		if refused := errors.Is(b.Do(t.Context(), "/", succeed), ErrOpen); refused != (i < 3) {
			t.Errorf("service %d is refused: %t", i, refused)
		}
		if i > 3 && b != last {
			t.Errorf("service %d beyond the limit has a breaker of its own", i)
		}
		last = b
	}
	if len(g.Breakers()) != 4 || strings.Count(log.String(), "too many breakers") != 1 {
		t.Errorf("%d breakers; log:\n%s", len(g.Breakers()), log.String())
	}
	if member(t, g, "https://host-1.example") == last {
		t.Error("a service within the limit lost its breaker")
	}
}

func TestGroupAppliesLimitsToOldAndNewBreakers(t *testing.T) {
	own := map[string]ServiceLimits{"https://slow.internal": {RequestTimeout: time.Minute}}
	g := newGroup(t, GroupConfig{Settings: GroupSettings{Services: own}})
	mail, slow := member(t, g, "https://mail.internal"), member(t, g, "https://slow.internal")
	if err := g.Apply(GroupSettings{Settings: Settings{RequestTimeout: 7 * time.Second, ClosedFailLimit: 3}, Services: own}); err != nil {
		t.Fatal(err)
	}
	for b, want := range map[*Breaker]time.Duration{mail: 7 * time.Second, slow: time.Minute, member(t, g, "https://new.internal"): 7 * time.Second} {
		if s := b.Settings(); s.RequestTimeout != want || s.ClosedFailLimit != 3 {
			t.Errorf("%s: request_timeout %v, closed_fail_limit %d", b.Service(), s.RequestTimeout, s.ClosedFailLimit)
		}
	}
}

func TestGroupThatHasStoppedMakesNoBreaker(t *testing.T) {
	g := newGroup(t, GroupConfig{})
	mail := member(t, g, "https://mail.internal")
	if err := g.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := mail.Do(t.Context(), "/", succeed); !errors.Is(err, ErrStopped) {
		t.Errorf("a call after the stop: %v", err)
	}
	if _, err := g.Breaker("https://mail.internal"); !errors.Is(err, ErrStopped) {
		t.Errorf("a breaker after the stop: %v", err)
	}
	if g.Find("https://mail.internal") != nil || len(g.Breakers()) != 0 {
		t.Error("the group keeps breakers that have stopped")
	}
}
