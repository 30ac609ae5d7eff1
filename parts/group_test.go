package parts

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// journal writes down what is done to parts.
type journal struct {
	mu    sync.Mutex
	lines []string
}

func (j *journal) note(line string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lines = append(j.lines, line)
}

// noted is a part that writes down what is done to it.
type noted struct {
	*journal
	name    string
	opening error
}

func (n *noted) Open(context.Context) error         { n.note("open " + n.name); return n.opening }
func (n *noted) Start(context.Context, *Host) error { n.note("start " + n.name); return nil }
func (n *noted) Stop(context.Context) error         { n.note("stop " + n.name); return nil }
func (n *noted) Detail() string                     { panic("no detail") }

func TestPartsStartInOrderAndStopInReverse(t *testing.T) {
	j := &journal{}
	g, _ := newGroup(t, Settings{})
	g.Add("pool", &noted{journal: j, name: "pool"})
	g.Add("api", &noted{journal: j, name: "api"}, Intake())
	g.Add("relay", &noted{journal: j, name: "relay"})
	start(t, g)
	for _, s := range g.Status() {
		if s.State != Running || s.Detail != "its Detail panicked" {
			t.Errorf("%+v", s)
		}
	}
	if in, sup := stop(g, time.Second); in != nil || sup != nil {
		t.Error(in, sup)
	}
	want := []string{"open pool", "open api", "open relay", "start pool", "start relay", "start api", "stop api", "stop relay", "stop pool"}
	if !slices.Equal(j.lines, want) {
		t.Errorf("\n%q, want\n%q", j.lines, want)
	}
	if in, sup := stop(g, time.Second); in != nil || sup != nil || len(j.lines) != len(want) {
		t.Errorf("a second stop: %v %v %q", in, sup, j.lines)
	}
}

// What was opened before another part could not be is stopped; what was not opened is
// not, unless it says so.
func TestAStartThatFailsStopsWhatWasOpened(t *testing.T) {
	j := &journal{}
	g, _ := newGroup(t, Settings{})
	g.Add("first", &noted{journal: j, name: "first"})
	g.Add("second", &noted{journal: j, name: "second", opening: errors.New("port in use")})
	g.Add("third", &noted{journal: j, name: "third"})
	g.Add("close the pool", Closer(func(context.Context) error { j.note("close"); return nil }), EvenUnstarted())
	err := g.Open(t.Context())
	var of *Error
	if !errors.As(err, &of) || of.Part != "second" {
		t.Errorf("error %v", err)
	}
	stop(g, time.Second)
	if want := []string{"open first", "open second", "close", "stop first"}; !slices.Equal(j.lines, want) {
		t.Errorf("%q, want %q", j.lines, want)
	}
}

func TestMistakesOfPartsAreErrorsOfTheStart(t *testing.T) {
	for name, add := range map[string]func(*Group){
		"two parts of the name": func(g *Group) {
			g.Add("a", Closer(nil))
			g.Add("a", Closer(nil))
		},
		"is nil":                func(g *Group) { g.Add("a", nil) },
		"is empty":              func(g *Group) { g.Add(" ", Closer(nil)) },
		"not printable":         func(g *Group) { g.Add("a\x00", Closer(nil)) },
		"longer than 100 bytes": func(g *Group) { g.Add(strings.Repeat("a", 101), Closer(nil)) },
	} {
		g, fails := newGroup(t, Settings{})
		add(g)
		if err := g.Open(t.Context()); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
		if len(fails) > 0 {
			t.Errorf("%s: it ended the service", name)
		}
	}
}

// As of errgroup and oklog/run, where a panic of one goroutine ends the process.
func TestAPartThatEndsBadlyEndsTheService(t *testing.T) {
	broken := errors.New("connection lost")
	for name, c := range map[string]struct {
		run  func(context.Context) error
		want string
	}{
		"error":  {func(context.Context) error { return broken }, "connection lost"},
		"panic":  {func(context.Context) error { panic(broken) }, "connection lost"},
		"nil":    {func(context.Context) error { var p *int; *p = 1; return nil }, "nil pointer"},
		"goexit": {func(context.Context) error { runtime.Goexit(); return nil }, "Goexit"},
	} {
		t.Run(name, func(t *testing.T) {
			g, fails := newGroup(t, Settings{})
			g.Add("loop", Func(c.run))
			start(t, g)
			<-fails
			err := g.Err()
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), `part "loop"`) {
				t.Fatalf("error %v", err)
			}
			if name == "panic" && (!errors.Is(err, broken) || !strings.Contains(err.Error(), "group_test.go")) {
				t.Errorf("without its cause or its stack: %v", err)
			}
			if s := g.Status()[0]; s.State != Failed || s.Up() || s.Error == "" {
				t.Errorf("%+v", s)
			}
			if _, err := stop(g, time.Second); err != nil {
				t.Errorf("the stop repeats it: %v", err)
			}
		})
	}
}

func TestAFunctionThatReturnsNilJustEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, fails := newGroup(t, Settings{})
		g.Add("once", Func(func(context.Context) error { return nil }))
		start(t, g)
		synctest.Wait()
		if s := g.Status()[0]; s.State != Ended || !s.Up() || len(fails) > 0 {
			t.Errorf("%+v", s)
		}
		if _, err := stop(g, time.Second); err != nil {
			t.Error(err)
		}
	})
}

func TestTheEndOfAFunctionsCtxIsNoError(t *testing.T) {
	g, _ := newGroup(t, Settings{})
	g.Add("ctx", Func(func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }))
	g.Add("cause", Func(func(ctx context.Context) error { <-ctx.Done(); return context.Cause(ctx) }))
	g.Add("early", Func(func(ctx context.Context) error { <-Stopping(ctx); return nil }))
	g.Add("flush", Func(func(ctx context.Context) error { <-ctx.Done(); return errors.New("disk full") }))
	start(t, g)
	if _, err := stop(g, time.Second); err == nil || err.Error() != `part "flush": disk full` {
		t.Errorf("error %v", err)
	}
}

// A part that ignores its ctx does not hold the stop: it is named, and the others are
// stopped all the same.
func TestAPartThatIgnoresItsCtxIsNamedAndLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, _ := newGroup(t, Settings{PartTimeout: 3 * time.Second})
		forever := make(chan struct{})
		closed := false
		g.Add("pool", Closer(func(context.Context) error { closed = true; return nil }))
		g.Add("deaf", Func(func(context.Context) error { <-forever; return nil }))
		g.Add("dumb", Closer(func(context.Context) error { <-forever; return nil }), StopWithin(time.Second))
		start(t, g)
		begun := time.Now()
		_, err := stop(g, time.Hour)
		if took := time.Since(begun); took > 6*time.Second {
			t.Errorf("the stop took %v", took)
		}
		var late *NotEndedError
		if !errors.As(err, &late) || !strings.Contains(err.Error(), `"deaf"`) || !strings.Contains(err.Error(), `"dumb"`) || !closed {
			t.Errorf("error %v, closed %v", err, closed)
		}
		if states := g.Status(); states[1].State != NotEnded || states[2].State != NotEnded || states[0].State != Stopped {
			t.Errorf("%+v", states)
		}
		close(forever)
	})
}

// The end of the drain, as by a second signal, cuts all that is left short.
func TestTheEndOfTheDrainCutsEveryStageShort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, _ := newGroup(t, Settings{StopDelay: time.Hour, ServerTimeout: time.Hour, PartTimeout: time.Hour})
		slow := Closer(func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
		g.Add("intake", slow, Intake())
		g.Add("one", slow)
		g.Add("two", slow)
		start(t, g)
		begun := time.Now()
		in, sup := stop(g, time.Second)
		if took := time.Since(begun); took > 3*time.Second || in == nil || sup == nil {
			t.Errorf("after %v: %v, %v", took, in, sup)
		}
	})
}

func TestTheStopDelayIsKeptWhereThereIsAnIntakePart(t *testing.T) {
	for _, intake := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			g, _ := newGroup(t, Settings{StopDelay: 5 * time.Second})
			var opts []Option
			if intake {
				opts = append(opts, Intake())
			}
			var said, stopped time.Time
			g.Add("a", Func(func(ctx context.Context) error {
				<-Stopping(ctx)
				said = time.Now()
				<-ctx.Done()
				stopped = time.Now()
				return nil
			}), opts...)
			start(t, g)
			if in, sup := stop(g, time.Hour); in != nil || sup != nil {
				t.Error(in, sup)
			}
			if got, want := stopped.Sub(said), map[bool]time.Duration{true: 5 * time.Second}[intake]; got != want {
				t.Errorf("intake %v: %v between the word and the stop, want %v", intake, got, want)
			}
		})
	}
}

// A part may add others when it starts.
func TestPartsThatAreAddedToARunningService(t *testing.T) {
	j := &journal{}
	g, fails := newGroup(t, Settings{})
	added := make(chan struct{})
	g.Add("outer", Func(func(context.Context) error {
		g.Add("inner", &noted{journal: j, name: "inner"})
		g.Add("api", &noted{journal: j, name: "api"}, Intake())
		j.note("added")
		close(added)
		return nil
	}))
	start(t, g)
	<-added
	g.Add("bad", &noted{journal: j, name: "bad", opening: errors.New("port in use")})
	<-fails
	if err := g.Err(); err == nil || err.Error() != `part "bad": port in use` {
		t.Errorf("error %v", err)
	}
	g.Drain(t.Context())
	_ = g.StopIntake(t.Context())
	g.Add("close", Closer(func(context.Context) error { j.note("close"); return nil }), EvenUnstarted())
	_ = g.StopSupport(t.Context())
	g.Add("late", &noted{journal: j, name: "late"})
	j.mu.Lock()
	defer j.mu.Unlock()
	lines := strings.Join(j.lines, ", ")
	for _, want := range []string{"open inner, start inner", "start api", "stop api, close, stop inner"} {
		if !strings.Contains(lines, want) {
			t.Errorf("%s has no %q", lines, want)
		}
	}
	if strings.Contains(lines, "late") || strings.Contains(lines, "start bad") {
		t.Errorf("%s", lines)
	}
}

func TestSettingsThatDoNotFitAreNamed(t *testing.T) {
	if err := DefaultSettings().Validate(); err != nil {
		t.Error(err)
	}
	err := Settings{StopDelay: -1, ServerTimeout: 2 * time.Hour, PartTimeout: -1}.Validate()
	for _, key := range []string{"stop_delay", "server_timeout", "part_timeout"} {
		if err == nil || !strings.Contains(err.Error(), key) {
			t.Errorf("%v does not name %s", err, key)
		}
	}
}

type shown struct{ Part }

func (shown) Page() string { return "here" }

// TestAPartIsFoundByWhatItCan: so what stands next to the core shows more than a Status.
func TestAPartIsFoundByWhatItCan(t *testing.T) {
	g := NewGroup(Config{})
	type page interface{ Page() string }
	if _, ok := Find[page](g); ok {
		t.Error("found in an empty group")
	}
	g.Add("relay", Closer(func(context.Context) error { return nil }))
	g.Add("fleet", shown{Closer(func(context.Context) error { return nil })})
	if p, ok := Find[page](g); !ok || p.Page() != "here" {
		t.Error("not found")
	}
}
