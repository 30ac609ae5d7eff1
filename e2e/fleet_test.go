//go:build unix

package e2e

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/actors/breaker"
	"github.com/sambatech/chassis/fleet"
	"github.com/sambatech/chassis/task"
)

// memberVariable makes the test binary a member of a fleet: it has the address of a seed.
const memberVariable = "CHASSIS_E2E_MEMBER"

func TestMain(m *testing.M) {
	seed := os.Getenv(memberVariable)
	if seed == "" {
		os.Exit(m.Run())
	}
	sys, _, err := join(seed, "v2.4.0", os.Stderr, nil)
	if err == nil {
		err = sys.Start(context.Background())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println("started")
	_, _ = io.Copy(io.Discard, os.Stdin) // until the test ends it
	_ = sys.Stop(context.Background())
}

const upstream, ledger = "https://mail.internal", "https://ledger.internal"

// join makes a member of the mailer's fleet, with a page of its own.
func join(seed, version string, log io.Writer, hold chan struct{}) (*chassis.System, *fleet.Fleet, error) {
	set := chassis.DefaultSettings()
	set.Admin.Listen = "127.0.0.1:0"
	set.CircuitBreaker.ClosedFailLimit, set.CircuitBreaker.OpenTimeout = 3, 10*time.Minute
	sys, err := chassis.New("mailer", chassis.WithSettings(set), chassis.WithLogOutput(log), chassis.WithoutDefaultLogger())
	if err != nil {
		return nil, nil, err
	}
	chassis.Handle(sys, task.Define[mail]("newsletter"), func(ctx context.Context, _ task.Job[mail]) error {
		select {
		case <-hold:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	})
	s := fleet.Settings{Bind: "127.0.0.1:0"}
	if seed != "" {
		s.Seeds = []string{seed}
	}
	f, err := fleet.Join(sys, s, fleet.WithVersion(version), fleet.WithSize(10))
	if err != nil {
		return nil, nil, err
	}
	if _, err := f.Rate("mail", 200); err != nil {
		return nil, nil, err
	}
	sys.Breaker(upstream)
	sys.Breaker(ledger)
	return sys, f, nil
}

// address is where a member of a fleet is.
func address(t *testing.T, f *fleet.Fleet) string {
	t.Helper()
	list, err := f.Members(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return list[0].Addr
}

// TestThePageOfAFleet is what an operator sees of ten members, and has them do.
func TestThePageOfAFleet(t *testing.T) {
	hold := make(chan struct{})
	var systems []*chassis.System
	var fleets []*fleet.Fleet
	seed := ""
	for i := range 9 {
		version := "v2.4.0"
		if i > 5 {
			version = "v2.3.9"
		}
		sys, f, err := join(seed, version, t.Output(), hold)
		if err != nil {
			t.Fatal(err)
		}
		if err := sys.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := sys.Stop(context.Background()); err != nil {
				t.Error(err)
			}
		})
		if i == 0 {
			seed = address(t, f)
		}
		systems, fleets = append(systems, sys), append(fleets, f)
	}
	t.Cleanup(func() { close(hold) })
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	tenth := exec.CommandContext(t.Context(), exe) // a process of its own, to be suspended and killed
	tenth.Env = append(os.Environ(), memberVariable+"="+seed)
	tenth.Stderr = t.Output()
	in, err := tenth.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := tenth.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := tenth.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tenth.Process.Signal(syscall.SIGCONT); _ = tenth.Process.Kill(); _ = tenth.Wait() })
	if !bufio.NewScanner(out).Scan() {
		t.Fatal("the tenth member did not start")
	}

	b := browse(t, systems[0].AdminURL())
	b.show("fleet")
	b.until("all ten", `document.querySelectorAll('#view-fleet .fleet tbody tr').length === 10`)
	row := func(name, text string) string { return b.hasText(fmt.Sprintf("[data-member=%q]", name), text) }
	b.until("itself", row(fleets[0].Name(), "this one"))
	b.until("another's version, state, and rate", row(fleets[7].Name(), "v2.3.9")+" && "+row(fleets[7].Name(), "running")+" && "+row(fleets[7].Name(), "mail"))

	// Three trip: they are open, and all others doubt.
	for _, i := range []int{1, 2, 8} {
		for range 3 {
			_ = systems[i].Breaker(upstream).Do(t.Context(), "", func(context.Context) error { return errors.New("503") })
		}
	}
	b.until("open", row(fleets[2].Name(), upstream)+" && "+row(fleets[2].Name(), "open"))
	b.until("half-open", row(fleets[6].Name(), "half-open"))

	// An order to all, with each one's answer.
	order := func(kind, to string, fields map[string]string) {
		eval[bool](b, "choose", fmt.Sprintf(`(() => { const f = document.querySelector('#view-fleet form'); f.order.value = %q; f.order.dispatchEvent(new Event('change'));
			f.member.value = %q; return true; })()`, kind, to))
		for name, value := range fields {
			eval[bool](b, "fill in", fmt.Sprintf(`(() => { document.querySelector('#view-fleet form [name=%s]').value = %q; return true; })()`, name, value))
		}
		b.click(`#view-fleet form button.primary`)
		if to == "" {
			b.click(`dialog button[value="yes"]`)
		}
	}
	states := func(service string, want breaker.State) {
		t.Helper()
		for i, sys := range systems {
			if got := sys.Breaker(service).State(); got != want {
				t.Errorf("member %d: %s is %v, want %v", i, service, got, want)
			}
		}
	}
	order("forced-open", "", map[string]string{"service": ledger})
	b.until("all have done it", b.hasText("[data-outcome]", "done by 10 of 10 members"))
	states(ledger, breaker.ForcedOpen)
	b.until("it is seen", row(fleets[5].Name(), "forced-open"))
	b.fits("page-fleet")
	order("reset", "", map[string]string{"service": ledger})
	b.until("the reset", b.hasText("[data-outcome]", "Reset a breaker ("+ledger+"): done by 10 of 10 members"))
	states(ledger, breaker.Closed)

	// An execution is cancelled wherever it runs.
	id, err := chassis.Send(t.Context(), systems[7], task.Define[mail]("newsletter"), mail{To: "all"})
	if err != nil {
		t.Fatal(err)
	}
	b.until("it runs", fmt.Sprintf(`fetch('api/v1/fleet/%s/executions').then((r) => r.text()).then((s) => s.includes(%q))`, fleets[7].Name(), id))
	b.quiet()
	order("cancel", "", map[string]string{"exec_id": id})
	b.until("one had it", b.hasText("[data-outcome]", "done by 1 of 10 members"))
	b.until("which", b.hasText(fmt.Sprintf("[data-answer=%q]", fleets[7].Name()), "1 execution"))
	b.until("the others had not", b.hasText(fmt.Sprintf("[data-answer=%q]", fleets[3].Name()), "no execution"))

	// To one alone.
	order("pause", fleets[3].Name(), nil)
	b.until("one has", b.hasText("[data-outcome]", "done by 1 of 1 member"))
	details := func(name string) { b.click(fmt.Sprintf("[data-member=%q] button", name)) }
	details(fleets[3].Name())
	b.until("its details", b.hasText("dialog dd", "paused")+" && "+b.hasText("dialog li", upstream))
	b.accessible("the details of a member")
	b.do(chromedp.KeyEvent("\x1b"))
	b.until("closed", `!document.querySelector('dialog[open]')`)
	b.quiet()

	// The tenth is suspended, and then killed.
	name := ""
	for _, m := range list(t, fleets[0]) {
		known := false
		for _, f := range fleets {
			known = known || f.Name() == m.Name
		}
		if !known {
			name = m.Name
		}
	}
	if err := tenth.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	b.until("silent", row(name, "silent")+" || "+row(name, "dead"))
	if eval[bool](b, "still a member", row(name, "silent")) {
		details(name)
		b.until("it hangs", b.hasText("dialog .bad-text", "no answer in time")+" || "+b.hasText("dialog .bad-text", "gone"))
		b.do(chromedp.KeyEvent("\x1b"))
	}
	_ = tenth.Process.Kill()
	for end := time.Now().Add(2 * time.Minute); len(list(t, fleets[0])) == 10 && time.Now().Before(end); {
		time.Sleep(100 * time.Millisecond) // as long as memberlist takes
	}
	b.until("dead", row(name, "dead"))
	// What a member says of itself is a stranger's text.
	sys, evil, err := join(seed, `<img src=x onerror="document.title='owned'">`, t.Output(), hold)
	if err != nil {
		t.Fatal(err)
	}
	if err := sys.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.until("it is text", row(evil.Name(), "<img src=x"))
	if eval[bool](b, "no markup", `!!document.querySelector('#view-fleet img') || document.title === 'owned'`) {
		t.Error("what a member says became markup")
	}
	if err := sys.Stop(context.Background()); err != nil {
		t.Error(err)
	}
	b.until("left", row(evil.Name(), "left"))
	b.picture("page-fleet-gone")
	b.accessible("members that have gone")
	for _, p := range b.problems {
		if !strings.Contains(p, "502") && !strings.Contains(p, "404") { // the browser's own line on an answer that is an error
			t.Errorf("the page complains: %s", p)
		}
	}
}

func list(t *testing.T, f *fleet.Fleet) []fleet.Member {
	t.Helper()
	all, err := f.Members(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return all
}
