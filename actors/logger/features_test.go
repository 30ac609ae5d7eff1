package logger

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

type secret string

func TestRedaction(t *testing.T) {
	for _, format := range []Format{FormatJSON, FormatStackdriver, FormatText} {
		out := &sink{}
		l := newLogger(t, Settings{Format: format, Redact: []string{"Password", "api_key"}}, out, WithRedactType(secret("")))
		log := l.Slog().With("password", "hush1")
		log.Info("m", "PASSWORD", "hush2", "token", secret("hush3"),
			slog.Group("g", slog.String("api_key", "hush4"), slog.Group("password", slog.String("x", "hush5"))),
			"req", map[string]any{"user": "u1", "Password": "hush6", "list": []any{map[string]string{"api_key": "hush7"}}},
			"struct", struct {
				Password string
				User     string
			}{"hush8", "u2"})
		line := out.String()
		if strings.Contains(line, "hush") {
			t.Errorf("%s: a secret is in %s", format, line)
		}
		if !strings.Contains(line, "u1") || !strings.Contains(line, "u2") || strings.Count(line, redacted) < 7 {
			t.Errorf("%s: %s", format, line)
		}
	}
}

func TestLineLimitCutsInsideValues(t *testing.T) {
	for _, format := range []Format{FormatJSON, FormatStackdriver} {
		out := &sink{}
		l := newLogger(t, Settings{Format: format, MaxLine: 2048}, out)
		long := strings.Repeat("é\"\n😀", 5000)
		l.Slog().With("before", "kept").Info("short", "long", long, "after", 7,
			slog.Group("g", slog.String("x", strings.Repeat("y", 1500)), slog.Int("n", 1)),
			"list", make([]int, 3000))
		line := out.String()
		m := out.last(t)
		if len(line) > 2048 {
			t.Errorf("%s: %d bytes", format, len(line))
		}
		g, _ := m["g"].(map[string]any)
		if m["before"] != "kept" || m["after"] != 7.0 || g == nil || g["n"] != 1.0 || m["service"] != "mailer" {
			t.Errorf("%s: fields next to the long ones are gone: %s", format, line)
		}
		if v := m["long"].(string); !strings.HasPrefix(long, v[:strings.Index(v, "…")]) || !strings.Contains(v, "[cut ") {
			t.Errorf("%s: long is %q", format, v)
		}
		if n, _ := m["truncated"].(float64); n <= 2048 {
			t.Errorf("%s: truncated is %v", format, m["truncated"])
		}
	}
	// So many fields that cutting values is not enough: the last are left out.
	out := &sink{}
	l := newLogger(t, Settings{MaxLine: 1024}, out)
	var many []any
	for i := range 500 {
		many = append(many, fmt.Sprintf("k%d", i), i)
	}
	l.Slog().Info("m", many...)
	m := out.last(t)
	if len(out.String()) > 1024 || m["k0"] != 0.0 || m["k499"] != nil || m["truncated"] == nil {
		t.Errorf("%d bytes: %v", len(out.String()), m)
	}
	// Text, in colours.
	out = &sink{}
	l = newLogger(t, Settings{MaxLine: 1024, Format: FormatText}, out)
	l.Slog().Info("m", "long", strings.Repeat("é", 5000), "z", 1)
	if s := out.String(); len(s) > 1024 || !strings.HasSuffix(s, " bytes]\n") || strings.Contains(s, "\ufffd") {
		t.Errorf("%d bytes: %q", len(s), s)
	}
}

func TestSamplingCountsWhatItLeavesOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := &sink{}
		l := newLogger(t, Settings{Sampling: Sampling{First: 3, Thereafter: 10}}, out)
		for range 33 {
			l.Slog().Info("often")
			l.Slog().Error("never left out")
		}
		l.Slog().Info("once")
		time.Sleep(time.Second)
		l.Slog().Info("often")
		count := map[any]int{}
		var sampled float64
		for _, m := range out.lines(t) {
			count[m["msg"]]++
			if n, ok := m["sampled"].(float64); ok {
				sampled += n
			}
		}
		// 3 first, then the 13th, 23rd and 33rd; then one in a new interval.
		want := map[any]int{"often": 7, "never left out": 33, "once": 1}
		if !reflect.DeepEqual(count, want) {
			t.Errorf("kept %v, want %v", count, want)
		}
		if s := l.Stats(); s.Sampled != 27 || sampled != 27 {
			t.Errorf("left out: stats say %d, the records %v, want 27", s.Sampled, sampled)
		}
	})
}

// hook is a handler that keeps what it gets.
type hook struct {
	slog.Handler
	panics bool
}

func (h hook) Handle(ctx context.Context, r slog.Record) error {
	if h.panics {
		panic("hook's own")
	}
	return h.Handler.Handle(ctx, r)
}

func TestHooks(t *testing.T) {
	out, hooked := &sink{}, &sink{}
	l := newLogger(t, Settings{}, out,
		WithHook(hook{panics: true, Handler: slog.NewTextHandler(io.Discard, nil)}),
		WithHook(slog.NewJSONHandler(hooked, &slog.HandlerOptions{Level: slog.LevelWarn})))
	log := l.Slog().With("a", 1).WithGroup("g").With("b", 2)
	log.Info("below the hook's level")
	log.Warn("m", "c", 3)
	if got := hooked.lines(t); len(got) != 1 || got[0]["a"] != 1.0 || !reflect.DeepEqual(got[0]["g"], map[string]any{"b": 2.0, "c": 3.0}) {
		t.Errorf("the hook got %v", got)
	}
	if got := out.lines(t); len(got) != 2 {
		t.Errorf("%d lines, want 2", len(got))
	}
	l.Slog().Warn("again") // a handler made by With is a plain one again
	if n := l.Stats().HookErrors; n != 1 {
		t.Errorf("hook_errors is %d, want 1", n)
	}
}

func TestTailAndSubscribe(t *testing.T) {
	out := &sink{}
	l := newLogger(t, Settings{Tail: 4096}, out)
	start(t, l)
	if got := l.Tail(5); got != nil {
		t.Errorf("before any record: %q", got)
	}
	ctx, cancel := context.WithCancel(context.Background())
	fast, slow := l.Subscribe(ctx, 1000), l.Subscribe(ctx, 2)
	for i := range 100 {
		l.Slog().Info("m", "i", i)
	}
	flush(t, l)
	got := l.Tail(3)
	if len(got) != 3 || !strings.Contains(got[0], `"i":97}`) || !strings.Contains(got[2], `"i":99}`) {
		t.Errorf("the last three are %q", got)
	}
	if all := l.Tail(1000); len(all) < 10 || len(all) >= 100 || !json.Valid([]byte(all[0])) {
		t.Errorf("%d records in 4096 bytes, the first %q", len(all), all[0])
	}
	cancel()
	n := 0
	for line := range fast.Lines() {
		if !strings.HasSuffix(line, fmt.Sprintf(`"i":%d}`, n)) {
			t.Fatalf("line %d is %q", n, line)
		}
		n++
	}
	if n != 100 || fast.Dropped() != 0 {
		t.Errorf("the fast one got %d and missed %d", n, fast.Dropped())
	}
	n = 0
	for range slow.Lines() {
		n++
	}
	if n != 2 || slow.Dropped() != 98 {
		t.Errorf("the slow one got %d and missed %d", n, slow.Dropped())
	}
	fast.Close() // after the ctx has ended it: again
	l.Slog().Info("without a listener")
}

// TestSystemRecordsDoNotRecurse sends dead letters while the output is stalled: the
// system's records go through the logger, and its wake-ups go through the system.
func TestSystemRecordsDoNotRecurse(t *testing.T) {
	out := newGate()
	l := newLogger(t, Settings{Buffer: minBuffer}, out)
	l.SetLevel("actor", LevelEmergency) // until an actor takes the gate's writes
	system := actor.NewActorSystem(actor.WithLoggerFactory(l.SystemLogger()),
		actor.WithDeadLetterThrottleInterval(time.Millisecond), actor.WithDeadLetterThrottleCount(1<<30))
	defer system.Shutdown()
	pid, err := l.Start(system)
	if err != nil {
		t.Fatal(err)
	}
	l.SetLevel("actor", slog.LevelDebug)
	missing := actor.NewPID(system.Address(), "missing")
	for range 5000 { // more than fits: none of these waits, though the output is stalled
		system.Root.Send(missing, "hello")
		system.Logger().Error("an error of the system's own")
	}
	balanced(t, l)
	close(out.open)
	flush(t, l)
	if err := system.Root.PoisonFuture(pid).Wait(); err != nil {
		t.Fatal(err)
	}
	system.Root.Send(pid, &Reopen{}) // a dead letter that names the logger
	stop(t, l)
	got := out.String()
	if !strings.Contains(got, `"logger":"actor"`) || !strings.Contains(got, "[DeadLetter]") || l.Stats().Outputs[0].Dropped == 0 {
		t.Errorf("dead letters: %.300s, stats %+v", got, l.Stats().Outputs[0])
	}
	if n := strings.Count(got, "[DeadLetter]"); n > 5001 {
		t.Errorf("%d dead letters are logged, 5001 were sent", n)
	}
}

func TestHangupReopensFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "app.log")
	l := newLogger(t, Settings{}, io.Discard, WithFile(path))
	start(t, l)
	l.Slog().Info("one")
	flush(t, l)
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	// The signal takes its time to be delivered.
	for deadline := time.Now().Add(20 * time.Second); ; {
		l.Slog().Info("two")
		flush(t, l)
		if b, err := os.ReadFile(path); err == nil && bytes.Contains(b, []byte(`"two"`)) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the file was not opened again")
		}
	}
	stop(t, l)
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}

func TestReopenThatFailsKeepsTheOldFile(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "logs")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "app.log")
	l := newLogger(t, Settings{Files: []string{path}}, io.Discard)
	if err := os.Rename(dir, dir+"-gone"); err != nil {
		t.Fatal(err)
	}
	if err := l.Reopen(); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("Reopen says %v", err)
	}
	l.Slog().Info("kept")
	if b, _ := os.ReadFile(filepath.Join(dir+"-gone", "app.log")); !bytes.Contains(b, []byte("kept")) {
		t.Errorf("the old file holds %q", b)
	}
	_ = l.Close()
}

func TestStatsAndSettingsAreJSON(t *testing.T) {
	out := &sink{}
	l := newLogger(t, Settings{Levels: map[string]Level{"a": "debug"}}, out)
	system := newSystem(t, l)
	pid, err := l.Start(system)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Start(system); !errors.Is(err, ErrStarted) {
		t.Errorf("a second Start says %v", err)
	}
	l.Slog().Error("m")
	res, err := system.Root.RequestFuture(pid, &Describe{}, 5*time.Second).Result()
	if err != nil {
		t.Fatal(err)
	}
	s := res.(Stats)
	if !s.Running || s.Outputs[0].Written != 1 || s.Levels["a"] != "DEBUG" || s.Levels[""] != "INFO" {
		t.Errorf("stats: %+v", s)
	}
	raw, err := json.Marshal(s)
	if err != nil || !bytes.Contains(raw, []byte(`"accepted":1,"written":1,"dropped":0,"pending":0`)) {
		t.Errorf("%s, %v", raw, err)
	}
	stop(t, l)
	if l.Stats().Running {
		t.Error("a stopped logger says that it runs")
	}
}

func TestBadSettingsAreAllTold(t *testing.T) {
	_, err := New("s", Settings{
		Level: "loud", Levels: map[string]Level{"x": "quiet"}, Format: "xml", MaxLine: 1, Buffer: 1, Policy: "hope",
		DropBelow: "low", ErrorWait: -1, Source: "maybe", Sampling: Sampling{First: -1, Interval: -1}, Files: []string{""}, Tail: 1,
	})
	if err == nil {
		t.Fatal("no error")
	}
	for _, key := range []string{"log.level:", "log.levels.x:", "log.format:", "log.max_line:", "log.buffer:", "log.policy:", "log.drop_below:",
		"log.error_wait:", "log.source:", "log.sampling:", "log.sampling.interval:", "log.files.0:", "log.tail:"} {
		if !strings.Contains(err.Error(), key) {
			t.Errorf("%s is not reported in: %v", key, err)
		}
	}
	for _, c := range []struct {
		service string
		opt     Option
	}{
		{"", WithOutput(io.Discard)},
		{strings.Repeat("x", 300), WithOutput(io.Discard)},
		{"s", WithOutput(nil)},
		{"s", WithFile("/nowhere/at/all")},
		{"s", WithHook(nil)},
		{"s", func(c *config) {
			WithExtraOutput("twice", io.Discard)(c)
			WithExtraOutput("twice", io.Discard)(c)
		}},
		{"s", WithExtraOutput("x", io.Discard, OutputBuffer(1))},
		{"s", WithExtraOutput("x", io.Discard, OutputPolicy("hope"))},
		{"s", WithExtraOutput("x", io.Discard, OutputFormat("xml"))},
	} {
		if _, err := New(c.service, Settings{}, c.opt); err == nil {
			t.Errorf("service %q: no error", c.service)
		}
	}
	if err := DefaultSettings().Validate(); err != nil {
		t.Errorf("the defaults: %v", err)
	}
	if _, err := (&Logger{}).Start(nil); err == nil {
		t.Error("Start without a system: no error")
	}
}

func TestLevelNames(t *testing.T) {
	for in, want := range map[string]slog.Level{
		"debug": slog.LevelDebug, "INFO": slog.LevelInfo, " Warning ": slog.LevelWarn, "warn": slog.LevelWarn, "error": slog.LevelError,
		"notice": LevelNotice, "critical": LevelCritical, "fatal": LevelCritical, "alert": LevelAlert, "emergency": LevelEmergency,
		"INFO+1": 1, "-2": -2, "": slog.LevelWarn,
	} {
		var l Level
		if err := l.UnmarshalText([]byte(in)); err != nil {
			t.Errorf("%q: %v", in, err)
		}
		if got, _ := l.Parse(slog.LevelWarn); got != want {
			t.Errorf("%q is %v, want %v", in, got, want)
		}
	}
	var l Level
	if err := l.UnmarshalText([]byte("loud")); err == nil || l != "" {
		t.Errorf("loud: %v, %q", err, l)
	}
	if got := LevelOf(slog.LevelWarn); got != "warning" {
		t.Errorf("LevelOf(Warn) is %q", got)
	}
}

func TestSourceLocation(t *testing.T) {
	for _, c := range []struct {
		format Format
		source string
		want   bool
	}{
		{FormatJSON, "", false}, {FormatJSON, "on", true}, {FormatStackdriver, "", true}, {FormatStackdriver, "off", false}, {FormatText, "", true}, {FormatText, "off", false},
	} {
		out := &sink{}
		l := newLogger(t, Settings{Format: c.format, Source: c.source}, out)
		l.Slog().Info("m")
		if got := strings.Contains(out.String(), "features_test.go"); got != c.want {
			t.Errorf("%s, source %q: %s", c.format, c.source, out.String())
		}
	}
}

// TestFirstUseOfManyPlacesAtOnce: the table of places is read without a lock.
func TestFirstUseOfManyPlacesAtOnce(t *testing.T) {
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for pc := range 200 {
				if p := sourceOf(uintptr(pc + i)); p == nil {
					t.Error("nil")
				}
			}
		})
	}
	wg.Wait()
}
