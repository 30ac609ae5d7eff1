package chassis_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/actors/breaker"
	"github.com/sambatech/chassis/actors/logger"
	"github.com/sambatech/chassis/settings"
	"github.com/sambatech/chassis/task"
)

func apply(t *testing.T, sys *chassis.System, change func(*chassis.Settings)) []settings.Change {
	t.Helper()
	next := sys.Settings()
	change(&next)
	changes, err := sys.Apply(t.Context(), next)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range changes {
		if !c.Live {
			t.Errorf("%s is not live", c.Path)
		}
	}
	return changes
}

func TestALevelChangesLive(t *testing.T) {
	sys, _ := newSystem(t, func(s *chassis.Settings) { s.Log.Levels = map[string]logger.Level{"gone": "error"} })
	root, named, gone := sys.Logger("other"), sys.Logger("mail/templates"), sys.Logger("gone")
	at := func(l *slog.Logger, level slog.Level) bool { return l.Enabled(context.Background(), level) }
	if at(root, slog.LevelDebug) || at(named, slog.LevelDebug) || at(gone, slog.LevelWarn) {
		t.Fatal("the levels at the start")
	}
	apply(t, sys, func(s *chassis.Settings) { s.Log.Levels = map[string]logger.Level{"mail": "debug"} })
	if at(root, slog.LevelDebug) || !at(named, slog.LevelDebug) || !at(gone, slog.LevelWarn) {
		t.Error("log.levels is not applied")
	}
	apply(t, sys, func(s *chassis.Settings) { s.Log.Level = "error" })
	if at(root, slog.LevelWarn) || !at(named, slog.LevelDebug) {
		t.Error("log.level is not applied")
	}
	if got := sys.Settings().Log.Level; got != "error" {
		t.Errorf("in force is %q", got)
	}
}

func TestABreakersLimitsAndRatesChangeLive(t *testing.T) {
	sys, _ := newSystem(t, nil)
	before := sys.Breaker("https://before.internal")
	changes := apply(t, sys, func(s *chassis.Settings) {
		s.CircuitBreaker.ClosedFailLimit = 1
		s.CircuitBreaker.FailureRate = 0.25
	})
	if len(changes) != 2 {
		t.Errorf("changed: %+v", changes)
	}
	for _, b := range []*breaker.Breaker{before, sys.Breaker("https://after.internal")} {
		_ = b.Do(t.Context(), "/", func(context.Context) error { return errors.New("down") })
		if b.State() != breaker.Open || b.Settings().FailureRate != 0.25 {
			t.Errorf("%s is %v after one failure, with %+v", b.Service(), b.State(), b.Settings())
		}
	}
}

// A default that follows another setting does so for a settings file too.
func TestABreakersDefaultsFollowWhatTheFileSays(t *testing.T) {
	set, err := chassis.LoadSettings(settings.Bytes("chassis.yaml", settings.YAML, []byte("circuit_breaker:\n  request_timeout: 9s\n  trip: rate\n  window_calls: 100\n")))
	if err != nil {
		t.Fatal(err)
	}
	sys, _ := newSystem(t, func(s *chassis.Settings) { *s = set })
	got := sys.Breaker("https://mail.internal").Settings()
	if got.ProbeTimeout != 9*time.Second || got.HangTime != 9*time.Second || got.Window != 0 || got.WindowCalls != 100 {
		t.Errorf("in force: %+v", got)
	}
	_, err = chassis.LoadSettings(settings.Bytes("chassis.yaml", settings.YAML, []byte("tasks: {}\ncircuit_breaker:\n  fail_status: 5xy\n")))
	if err == nil || !strings.Contains(err.Error(), "chassis.yaml:3") || !strings.Contains(err.Error(), "5xy") {
		t.Errorf("a wrong list of status codes: %v", err)
	}
}

// What an operator changed on one breaker is not undone by a change of another setting.
func TestABreakersOwnSettingsStay(t *testing.T) {
	sys, _ := newSystem(t, nil)
	mail := sys.Breaker("https://mail.internal")
	own := mail.Settings()
	own.OpenTimeout, own.FailureRate = time.Minute, 0.75
	if err := mail.SetSettings(own); err != nil {
		t.Fatal(err)
	}
	apply(t, sys, func(s *chassis.Settings) {
		s.CircuitBreaker.RequestTimeout = 9 * time.Second // by default the probes' too
		s.CircuitBreaker.FailureRate = 0.25
	})
	if got := mail.Settings(); got.OpenTimeout != time.Minute || got.FailureRate != 0.25 || got.RequestTimeout != 9*time.Second || got.ProbeTimeout != 9*time.Second {
		t.Errorf("in force: %+v", got)
	}
}

func TestOneServiceHasLimitsOfItsOwn(t *testing.T) {
	file := func(text string) chassis.Settings {
		s, err := chassis.LoadSettings(settings.Bytes("chassis.yaml", settings.YAML, []byte(text)))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	sys, _ := newSystem(t, func(s *chassis.Settings) {
		*s = file("circuit_breaker:\n  request_timeout: 3s\n  open_max: 1h\n  window: 1m\n  services:\n" +
			"    HTTPS://Reports.internal:443: {request_timeout: 30s, open_timeout: 10m, trip: rate, window_calls: 50}\n")
	})
	reports, mail := sys.Breaker("https://reports.internal"), sys.Breaker("https://mail.internal")
	if s := reports.Settings(); s.RequestTimeout != 30*time.Second || s.ProbeTimeout != 30*time.Second || s.OpenTimeout != 10*time.Minute || s.OpenMax != time.Hour ||
		s.WindowCalls != 50 || s.Window != 0 {
		t.Errorf("reports: %+v", s)
	}
	if s := mail.Settings(); s.RequestTimeout != 3*time.Second || s.OpenTimeout != 10*time.Second || s.Trip != "consecutive" {
		t.Errorf("mail: %+v", s)
	}
	changes, err := sys.Apply(t.Context(), file("circuit_breaker:\n  request_timeout: 3s\n  open_max: 1h\n  window: 1m\n  services:\n"+
		"    HTTPS://Reports.internal:443: {request_timeout: 20s, open_timeout: 10m, trip: rate, window_calls: 50}\n    https://mail.internal: {closed_fail_limit: 3}\n"))
	if err != nil || len(changes) != 2 || !changes[0].Live || !changes[1].Live {
		t.Fatalf("%+v, %v", changes, err)
	}
	if r, m := reports.Settings(), mail.Settings(); r.RequestTimeout != 20*time.Second || m.ClosedFailLimit != 3 || m.RequestTimeout != 3*time.Second {
		t.Errorf("reports: %+v, mail: %+v", r, m)
	}
}

func TestWrongLimitsOfAServiceAreMistakesOfTheFile(t *testing.T) {
	for text, want := range map[string]string{
		"{mail.internal: {request_timeout: 1s}}":                 `"mail.internal"`,
		"{https://mail.internal: {open_max: 1s}}":                "open_max must be at least open_timeout",
		"{https://mail.internal: {}, https://MAIL.internal: {}}": "same service as https://MAIL.internal",
		"{https://mail.internal: {request_timeot: 1s}}":          "request_timeout",
		"{https://mail.internal: {closed_fail_limit: -1}}":       "closed_fail_limit",
	} {
		_, err := chassis.LoadSettings(settings.Bytes("chassis.yaml", settings.YAML, []byte("circuit_breaker:\n  services: "+text+"\n")))
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "chassis.yaml:") {
			t.Errorf("%s: the error does not hold %q: %v", text, want, err)
		}
	}
}

func TestWorkersChangeLive(t *testing.T) {
	sys, _ := newSystem(t, func(s *chassis.Settings) { s.Tasks.Workers, s.Tasks.MaxWorkers = 1, 1 })
	hold := task.Define[greeting]("hold")
	begun, end := make(chan struct{}, 3), make(chan struct{})
	chassis.Handle(sys, hold, func(context.Context, task.Job[greeting]) error {
		begun <- struct{}{}
		<-end
		return nil
	})
	defer close(end)
	if err := sys.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := chassis.Send(t.Context(), sys, hold, greeting{}); err != nil {
			t.Fatal(err)
		}
	}
	<-begun
	if s := sys.Tasks().Stats(); s.Workers != 1 || s.Running != 1 {
		t.Errorf("%d of %d workers run", s.Running, s.Workers)
	}
	apply(t, sys, func(s *chassis.Settings) { s.Tasks.Workers, s.Tasks.MaxWorkers, s.Tasks.ScaleFactor = 3, 7, 50 })
	<-begun // hangs if the workers are still one
	<-begun
	if s := sys.Tasks().Stats(); s.Workers != 3 {
		t.Errorf("%d workers", s.Workers)
	}
}

func TestWhatNeedsARestartIsNamedAndStays(t *testing.T) {
	sys, log := newSystem(t, nil)
	next := sys.Settings()
	next.Tasks.TaskTimeout = time.Minute
	next.Log.Level = "warning"
	for range 2 { // it is named as long as it differs
		changes, err := sys.Apply(t.Context(), next)
		i := slices.IndexFunc(changes, func(c settings.Change) bool { return c.Path == "tasks.task_timeout" })
		if err != nil || i < 0 || changes[i].Live || changes[i].New != "1m" {
			t.Errorf("got %+v, %v", changes, err)
		}
	}
	if got := sys.Settings(); got.Tasks.TaskTimeout != 2*time.Minute || got.Log.Level != "warning" {
		t.Errorf("in force are %v and %v", got.Tasks.TaskTimeout, got.Log.Level)
	}
	if err := sys.Log().Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(log.String(), `"msg":"a changed setting needs a restart"`) || !strings.Contains(log.String(), `"setting":"tasks.task_timeout"`) {
		t.Errorf("the log: %s", log)
	}
}

func TestWrongSettingsAreNotApplied(t *testing.T) {
	sys, _ := newSystem(t, nil)
	for want, change := range map[string]func(*chassis.Settings){
		"tasks.workers":        func(s *chassis.Settings) { s.Tasks.Workers = -1 },
		"log.level":            func(s *chassis.Settings) { s.Log.Level = "loud" },
		"failure_rate":         func(s *chassis.Settings) { s.CircuitBreaker.FailureRate = 2 },
		"system has stopped":   nil,
		"queue: path and list": func(s *chassis.Settings) { s.Queue.Path, s.Queue.Region = "x", "eu" },
	} {
		if change == nil {
			continue
		}
		next := sys.Settings()
		change(&next)
		next.Tasks.ScaleFactor = 7
		if _, err := sys.Apply(t.Context(), next); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	if sys.Settings().Tasks.ScaleFactor == 7 {
		t.Error("a part was applied")
	}
	if changes, err := sys.Apply(t.Context(), chassis.Settings{}); err != nil || len(changes) > 0 {
		t.Errorf("a zero is its default: got %+v, %v", changes, err)
	}
	if err := sys.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := sys.Apply(t.Context(), sys.Settings()); !errors.Is(err, chassis.ErrStopped) {
		t.Errorf("after the stop: %v", err)
	}
}

// signalling tells when a text was written.
type signalling struct {
	text string
	seen chan struct{}
}

func (w *signalling) Write(b []byte) (int, error) {
	if bytes.Contains(b, []byte(w.text)) {
		select {
		case w.seen <- struct{}{}:
		default:
		}
	}
	return len(b), nil
}

func TestAChangedFileIsApplied(t *testing.T) {
	t.Chdir(t.TempDir())
	write := func(text string) {
		if err := os.WriteFile("chassis.yaml", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("log: {level: warning}\ncustom: 1\n")
	mistake := &signalling{text: "those in force stay", seen: make(chan struct{}, 1)}
	done := &signalling{text: "a changed setting needs a restart", seen: make(chan struct{}, 1)}
	sys, err := chassis.New("mailer", chassis.WithLogOutput(mistake), chassis.WithLogOptions(logger.WithExtraOutput("done", done)), chassis.WithoutDefaultLogger(),
		chassis.WithActorConfig(actor.WithDeadLetterThrottleInterval(time.Millisecond)))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := sys.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	if err := sys.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	write("log: {level: loud}\n")
	<-mistake.seen
	if sys.Settings().Log.Level != "warning" {
		t.Error("a file with a mistake has changed something")
	}
	write("log: {level: debug}\ntasks: {task_timeout: 60}\n")
	<-done.seen
	if sys.Settings().Log.Level != "debug" || !sys.Logger("x").Enabled(t.Context(), slog.LevelDebug) {
		t.Error("the file is not applied")
	}
}

// The root's level may stand in log.levels too, under the empty name; taken out
// there, log.level holds again.
func TestTheRootsOwnLevelGoesBackToTheSetting(t *testing.T) {
	sys, _ := newSystem(t, func(s *chassis.Settings) { s.Log.Levels = map[string]logger.Level{"": "debug"} })
	apply(t, sys, func(s *chassis.Settings) { s.Log.Levels = nil })
	if l := sys.Log().Levels()[""]; l != slog.LevelInfo {
		t.Errorf("the root's level is %v", l)
	}
}
