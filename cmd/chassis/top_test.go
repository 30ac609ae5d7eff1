package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/actors/breaker"
	"github.com/sambatech/chassis/settings"
	"github.com/sambatech/chassis/task"
)

// watched is a service with something of everything to see: a task that runs
// until the test ends, one that died, a breaker that is open.
func watched(t *testing.T, change func(*chassis.Settings)) *chassis.System {
	t.Helper()
	s := chassis.DefaultSettings()
	s.Admin.Listen = "127.0.0.1:0"
	if change != nil {
		change(&s)
	}
	sys, err := chassis.New("mailer", chassis.WithSettings(s), chassis.WithoutDefaultLogger(), chassis.WithLogOutput(&strings.Builder{}))
	if err != nil {
		t.Fatal(err)
	}
	finish := make(chan struct{})
	t.Cleanup(func() {
		close(finish)
		if err := sys.Stop(context.Background()); err != nil {
			t.Errorf("stop: %v", err)
		}
	})
	slow, doomed := task.Define[mail]("slow"), task.Define[mail]("doomed", task.MaxFailures(1))
	running := make(chan struct{})
	chassis.Handle(sys, slow, func(ctx context.Context, job task.Job[mail]) error {
		job.Report(3, 12, "pages\x1b[2Jrendered") // a note that would clear the screen
		close(running)
		<-finish
		return nil
	})
	chassis.Handle(sys, doomed, func(context.Context, task.Job[mail]) error { return errors.New("down") })
	events := sys.Tasks().Events(100)
	defer events.Close()
	if err := sys.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, def := range []*task.Definition[mail]{slow, doomed} {
		if _, err := chassis.Send(t.Context(), sys, def, mail{}, task.ForJob("7", "spring")); err != nil {
			t.Fatal(err)
		}
	}
	b := sys.Breaker("https://mail.internal")
	if err := b.ForceOpen("/v1", 0); err != nil {
		t.Fatal(err)
	}
	if err := b.Do(t.Context(), "/v1/x", func(context.Context) error { return nil }); !errors.Is(err, breaker.ErrOpen) {
		t.Fatal(err)
	}
	<-running
	for e := range events.C {
		if e.Kind == "settled" {
			break
		}
	}
	return sys
}

var shown = []string{"mailer  running", "queues OK", "mailer-tasks", "1/3 running", "slow", "doomed", "https://mail.internal", "/v1", "forced-open", "3/12 pages"}

func TestTopShowsARunningService(t *testing.T) {
	emptyDir(t)
	sys := watched(t, nil)
	out := does(t, "top", "--once", "--admin", sys.AdminURL(), "--interval", "100ms")
	for _, want := range shown {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	if strings.Contains(out, "\x1b") {
		t.Errorf("a sequence of a terminal came through:\n%q", out)
	}
	g := printed[glance](t, "top", "--once", "--admin", sys.AdminURL())
	if g.Service.Name != "mailer" || g.Workers == nil || len(g.Executions.List) != 1 || len(g.Tasks) != 2 {
		t.Errorf("JSON: %+v", g)
	}
}

func TestTopSaysWhatIsWrong(t *testing.T) {
	emptyDir(t)
	if r := chassisWith(t, "", "top", "--admin", "http://127.0.0.1:1"); r.code != exitFailed || !strings.Contains(r.err, "no service answers") {
		t.Errorf("no service there: %+v", r)
	}
	if r := chassisWith(t, "", "top", "--admin", "nonsense"); r.code != exitUsage {
		t.Errorf("no URL: %+v", r)
	}
	if r := chassisWith(t, "", "top", "--interval", "1ms"); r.code != exitUsage {
		t.Errorf("an interval: %+v", r)
	}
	if r := chassisWith(t, "", "top", "--admin", serve(t)); r.code != exitFailed {
		t.Errorf("another server: %+v", r)
	}
	const token = "0123456789abcdef0123456789abcdef"
	sys := watched(t, func(s *chassis.Settings) { s.Admin.Token = settings.NewSecret(token) })
	if r := chassisWith(t, "", "top", "--once", "--admin", sys.AdminURL()); r.code != exitFailed || !strings.Contains(r.err, "401") || !strings.Contains(r.err, "CHASSIS_ADMIN__TOKEN") {
		t.Errorf("without the token: %+v", r)
	}
	t.Setenv("CHASSIS_ADMIN__TOKEN", token)
	does(t, "top", "--once", "--admin", sys.AdminURL(), "--interval", "100ms")
}

// A picture fits its screen, however small that is and whatever it shows.
func TestAPictureFitsItsScreen(t *testing.T) {
	emptyDir(t)
	sys := watched(t, nil)
	g := printed[glance](t, "top", "--once", "--admin", sys.AdminURL())
	g.Ready.Reasons = []string{strings.Repeat("why ", 100), "two\nlines", "\x1b]0;title\x07"}
	for width := 20; width < 220; width += 7 {
		for height := 1; height < 60; height += 5 {
			lines := picture(&g, &g, width, height, plain{})
			if len(lines) > height {
				t.Fatalf("%d lines of %d", len(lines), height)
			}
			for _, l := range lines {
				if n := len([]rune(l)); n > width || strings.ContainsAny(l, "\n\x1b\x07") {
					t.Fatalf("a line of %d characters on a screen of %d: %q", n, width, l)
				}
			}
		}
	}
}

// One picture is cut at the width of its terminal, or at COLUMNS, and shows that it is.
func TestOnePictureIsCutAtItsWidth(t *testing.T) {
	emptyDir(t)
	sys := watched(t, nil)
	for columns, want := range map[string]int{"": pipeWidth, "60": 60, "nonsense": pipeWidth, "-3": pipeWidth} {
		t.Setenv("COLUMNS", columns)
		out := does(t, "top", "--once", "--admin", sys.AdminURL(), "--interval", "100ms")
		longest, cut := 0, 0
		for line := range strings.Lines(out) {
			n := len([]rune(strings.TrimSuffix(line, "\n")))
			longest = max(longest, n)
			if n == want && strings.HasSuffix(line, "…\n") {
				cut++
			}
		}
		if longest > want || want == 60 && cut == 0 {
			t.Errorf("COLUMNS=%s: the longest line has %d characters, want %d, and %d are cut:\n%s", columns, longest, want, cut, out)
		}
	}
	t.Setenv("COLUMNS", "")
	if out := does(t, "top", "--once", "--admin", sys.AdminURL(), "--interval", "100ms"); !strings.Contains(out, "7 spring") {
		t.Errorf("no job in\n%s", out)
	}
}

// TestTopInATerminal runs the binary in tmux: it draws, follows, stops at a
// key, and leaves the terminal as it was.
func TestTopInATerminal(t *testing.T) {
	tmux, err := exec.LookPath("tmux")
	if err != nil {
		t.Skip("needs tmux")
	}
	dir := emptyDir(t)
	bin := binary(t)
	sys := watched(t, nil)

	socket := filepath.Join(dir, "tmux")
	do := func(args ...string) string {
		t.Helper()
		out, err := exec.CommandContext(t.Context(), tmux, append([]string{"-S", socket, "-f", os.DevNull}, args...)...).CombinedOutput()
		if err != nil {
			t.Fatalf("tmux %v: %v\n%s", args, err, out)
		}
		return string(out)
	}
	do("new-session", "-d", "-s", "top", "-x", "120", "-y", "40", "sh")
	t.Cleanup(func() { _ = exec.Command(tmux, "-S", socket, "kill-server").Run() }) // it may have gone by itself
	do("send-keys", "-t", "top", bin+" top --interval 200ms --admin "+sys.AdminURL()+"; echo code $?", "Enter")
	screen := func(holds ...string) string {
		t.Helper()
		var last string
		for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) { // another process draws: there is nothing to wait on
			last = do("capture-pane", "-p", "-t", "top")
			missing := false
			for _, want := range holds {
				missing = missing || !strings.Contains(last, want)
			}
			if !missing {
				return last
			}
		}
		t.Fatalf("never %q on the screen:\n%s", holds, last)
		return ""
	}
	t.Logf("top:\n%s", screen(append([]string{"q ends"}, shown...)...))

	if err := sys.Breaker("https://other.internal").ForceOpen("", 0); err != nil {
		t.Fatal(err)
	}
	screen("https://other.internal")
	do("send-keys", "-t", "top", "Space")
	screen("stopped; space goes on")
	do("resize-window", "-t", "top", "-x", "60", "-y", "15")
	do("send-keys", "-t", "top", "Space")
	screen("q ends", "more lines")
	do("send-keys", "-t", "top", "q")
	after := screen("code 0")
	if strings.Contains(after, "mailer-tasks") {
		t.Errorf("the picture was left on the terminal:\n%s", after)
	}

	// A serial line, or a container's terminal, does not report its size.
	do("send-keys", "-t", "top", "stty rows 0 cols 0; "+bin+" top --admin "+sys.AdminURL()+"; echo again $?", "Enter")
	screen("q ends")
	do("send-keys", "-t", "top", "q")
	screen("again 0")
}

// TestAListenerOnEveryInterfaceIsReachedByLocalhost: its address has no host.
func TestAListenerOnEveryInterfaceIsReachedByLocalhost(t *testing.T) {
	emptyDir(t)
	t.Setenv("CHASSIS_ADMIN__LISTEN", ":9190")
	t.Setenv("CHASSIS_ADMIN__TOKEN", "0123456789abcdef")
	d, err := (&app{in: strings.NewReader("")}).openDesk("", nil)
	if err != nil || d.url != "http://localhost:9190" {
		t.Errorf("%+v %v", d, err)
	}
}

func TestTopAsAStream(t *testing.T) {
	emptyDir(t)
	sys := watched(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	code := make(chan int, 1)
	go func() {
		code <- run(ctx, []string{"top", "--json", "--interval", "100ms", "--admin", sys.AdminURL()}, strings.NewReader(""), w, &strings.Builder{})
		w.Close()
	}()
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	n := 0
	for lines.Scan() {
		var g glance
		if err := json.Unmarshal(lines.Bytes(), &g); err != nil || g.Service.Name != "mailer" {
			t.Fatalf("%v: %s", err, lines.Text())
		}
		if n++; n == 3 {
			cancel()
		}
	}
	if got := <-code; got != exitInterrupted || n < 3 {
		t.Errorf("%d looks, exit code %d", n, got)
	}
}
