package e2e

import (
	"context"
	"fmt"
	"iter"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// tab is one page in a headless Chromium that belongs to one test.
type tab struct {
	t   *testing.T
	ctx context.Context

	mu       sync.Mutex
	problems []string // errors on the console, exceptions
}

// step bounds each thing that is waited for.
const step = 20 * time.Second

// browse opens the page in a fresh browser. Without a browser the test is
// skipped, unless CHASSIS_E2E says that it must run.
func browse(t *testing.T, url string) *tab {
	t.Helper()
	path := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	if path == "" {
		if os.Getenv("CHASSIS_E2E") == "must" {
			t.Fatal("no Chromium is installed, and CHASSIS_E2E=must: apt-get install chromium")
		}
		t.Skip("SKIPPED: no Chromium is installed here, so the page was not looked at: apt-get install chromium")
	}
	opts := append([]chromedp.ExecAllocatorOption{}, chromedp.DefaultExecAllocatorOptions[:]...)
	opts = append(opts, chromedp.ExecPath(path), chromedp.Flag("no-sandbox", true), chromedp.UserDataDir(t.TempDir()), chromedp.WSURLReadTimeout(time.Minute))
	for _, flag := range []string{"disable-gpu", "disable-quic", "disable-component-update"} {
		opts = append(opts, chromedp.Flag(flag, true))
	}
	alloc, endAlloc := chromedp.NewExecAllocator(context.Background(), opts...)
	ctx, end := chromedp.NewContext(alloc)
	t.Cleanup(func() { end(); endAlloc() })
	b := &tab{t: t, ctx: ctx}
	if err := chromedp.Do(ctx); err != nil { // starts the browser, which lives as long as this ctx
		t.Fatalf("start %s: %v", path, err)
	}
	messages := chromedp.Console(ctx)
	go b.listen(messages)
	b.do(chromedp.EmulateViewport(1360, 900), chromedp.Navigate(url), chromedp.WaitVisible(chromedp.CSS("#view-overview")))
	return b
}

// listen ends with the browser.
func (b *tab) listen(messages iter.Seq2[chromedp.ConsoleMessage, error]) {
	for m, err := range messages {
		if err != nil {
			return
		}
		switch m.Type {
		case chromedp.ConsoleError, chromedp.ConsoleWarning, chromedp.ConsoleException:
			b.mu.Lock()
			b.problems = append(b.problems, m.String()+" "+m.URL)
			b.mu.Unlock()
		}
	}
}

// quiet fails the test if the page has complained of anything.
func (b *tab) quiet() {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, p := range b.problems {
		b.t.Errorf("the page complains: %s", p)
	}
	b.problems = nil
}

func (b *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	for i, a := range steps {
		run(b, fmt.Sprintf("step %d", i), a)
	}
}

func run[T any](b *tab, what string, a chromedp.Action[T]) T {
	b.t.Helper()
	return runWithin(b, what, a, step)
}

func runWithin[T any](b *tab, what string, a chromedp.Action[T], limit time.Duration) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, limit)
	defer cancel()
	v, err := chromedp.Run(ctx, a)
	if err != nil {
		b.quiet()
		b.picture("failed-" + b.t.Name())
		b.t.Fatalf("%s: %v", what, err)
	}
	return v
}

// until waits for a condition in the page, a JavaScript expression. The page's
// own policy forbids to make functions of text, so the condition is spelt out.
func (b *tab) until(what, condition string) {
	b.t.Helper()
	eval[bool](b, what+" is not seen: "+condition, `new Promise((seen) => {
		const look = () => ((`+condition+`) ? seen(true) : setTimeout(look, 50));
		look();
	})`)
}

func eval[T any](b *tab, what, js string) T {
	b.t.Helper()
	return run(b, what, chromedp.Evaluate[T](js, chromedp.EvalAwaitPromise))
}

// show goes to one of the page's views.
func (b *tab) show(view string) {
	b.t.Helper()
	b.click(`.tabs a[href="#/` + view + `"]`)
	b.do(chromedp.WaitVisible(chromedp.CSS("#view-" + view)))
}

func (b *tab) click(selector string) {
	b.t.Helper()
	b.do(chromedp.WaitVisible(chromedp.CSS(selector)), chromedp.Click(chromedp.CSS(selector)))
}

// look sets the size of the window and the theme.
func (b *tab) look(width, height int64, theme string) {
	b.t.Helper()
	b.do(chromedp.EmulateViewport(width, height), chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
			{Name: "prefers-color-scheme", Value: theme}, {Name: "prefers-reduced-motion", Value: "reduce"}}})
		return err
	}))
}

// pictured are the pictures that the docs show. They are written there if
// CHASSIS_IMAGES names the folder; an ordinary run changes nothing.
var pictured = []string{"page-overview-light", "page-overview-dark", "page-overview-phone", "page-executions-light", "page-dead-light",
	"page-breakers-light", "page-fleet-light", "page-fleet-dark", "page-fleet-phone", "page-breakers-phone-dark", "page-log-dark", "page-settings-light", "page-draining"}

// picture keeps what is shown as a file of the test's artifacts (go test
// -artifacts), and of the docs.
func (b *tab) picture(name string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, step)
	defer cancel()
	png, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
	if err != nil {
		b.t.Errorf("picture %s: %v", name, err)
		return
	}
	dirs := []string{b.t.ArtifactDir()}
	if docs := os.Getenv("CHASSIS_IMAGES"); docs != "" && slices.Contains(pictured, name) {
		dirs = append(dirs, docs)
	}
	for _, dir := range dirs {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			b.t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name+".png"), png, 0o644); err != nil {
			b.t.Fatal(err)
		}
	}
}

// accessible runs axe-core over what is shown. Of hundreds of equal rows it sees
// the first.
func (b *tab) accessible(where string) {
	b.t.Helper()
	source, err := os.ReadFile("node_modules/axe-core/axe.min.js")
	if err != nil {
		if os.Getenv("CHASSIS_E2E") == "must" {
			b.t.Fatalf("axe-core is not installed, and CHASSIS_E2E=must: run npm ci here: %v", err)
		}
		b.t.Skip("SKIPPED: axe-core is not installed here, so accessibility was not checked: run npm ci in e2e")
	}
	eval[chromedp.Void](b, "axe", string(source)+";0")
	type violation struct {
		ID, Impact, Help string
		Nodes            []struct{ HTML, FailureSummary string }
	}
	found := runWithin(b, "axe.run", chromedp.Evaluate[[]violation](`axe.run({include: [document], exclude: [['.log li:nth-child(n+15)'], ['#view-settings tbody tr:nth-child(n+15)']]},
		{resultTypes: ['violations']}).then((r) => JSON.parse(JSON.stringify(r.violations)))`,
		chromedp.EvalAwaitPromise), 2*time.Minute)
	for _, v := range found {
		b.t.Errorf("%s: %s (%s): %s", where, v.ID, v.Impact, v.Help)
		for _, n := range v.Nodes[:min(3, len(v.Nodes))] {
			b.t.Logf("    %s\n    %s", n.HTML, strings.ReplaceAll(n.FailureSummary, "\n", "\n    "))
		}
	}
}

func (b *tab) hasText(selector, text string) string {
	return fmt.Sprintf(`[...document.querySelectorAll(%q)].some((e) => e.textContent.includes(%q))`, selector, text)
}

// focusAndType types into the search field of the view that is shown.
func focusAndType(text string) []chromedp.Action[chromedp.Void] {
	field := chromedp.CSS(`section input[type=search]`)
	return []chromedp.Action[chromedp.Void]{chromedp.Click(field), chromedp.SendKeys(field, text)}
}
