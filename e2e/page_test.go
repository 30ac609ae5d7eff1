package e2e

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/queue/localsqs"
	"github.com/sambatech/chassis/settings"
	"github.com/sambatech/chassis/task"
)

// TestThePageShowsAndSteersTheService is what an operator does in a bad hour.
func TestThePageShowsAndSteersTheService(t *testing.T) {
	s := start(t, nil)
	b := browse(t, s.AdminURL())
	b.until("the service", `document.getElementById('name').textContent === 'mailer'`)
	b.until("live", `document.getElementById('live').dataset.on === 'true'`)

	// A breaker opens and closes, live.
	b.show("breakers")
	state := func(want string) string {
		return fmt.Sprintf(`document.querySelector('[data-service=%q] h3 + .pill')?.textContent === %q`, s.gateway.URL, want)
	}
	b.until("closed", state("closed"))
	s.broken.Store(true)
	for range 3 {
		if err := s.deliver(t.Context(), s.Breaker(s.gateway.URL).Client(), "/v1/welcome"); err == nil {
			t.Fatal("the gateway is broken but answers")
		}
	}
	b.until("open", state("open"))
	b.until("the time to the next probe", b.hasText(".entry .counts", "next probe in"))
	s.broken.Store(false)
	b.until("half-open", state("half-open"))
	for range 2 {
		if err := s.deliver(t.Context(), s.Breaker(s.gateway.URL).Client(), "/v1/welcome"); err != nil {
			t.Fatal(err)
		}
	}
	b.until("closed again", state("closed"))
	b.until("the log of it", `document.querySelectorAll('#view-breakers table tbody tr').length >= 3`)

	// Forced open by a click it refuses, and reset it admits.
	b.click(`.entry[data-path=""] button[data-act="forced-open"]`)
	b.until("forced open", state("forced-open"))
	b.until("the time left", b.hasText(".entry .counts", "ends in 4 m "))
	if err := s.deliver(t.Context(), s.Breaker(s.gateway.URL).Client(), "/v1/welcome"); err == nil || !strings.Contains(err.Error(), "forced-open") {
		t.Errorf("forced open by a click, but a call got %v", err)
	}
	b.click(`.entry[data-path=""] button[data-act="reset"]`)
	b.until("reset", state("closed"))
	if err := s.deliver(t.Context(), s.Breaker(s.gateway.URL).Client(), "/v1/welcome"); err != nil {
		t.Errorf("reset by a click, but a call got %v", err)
	}

	// A task fails into the dead letters, is sent back by a click, and runs.
	b.show("dead")
	s.send(t, "invoice", "zoë@example.org")
	s.send(t, "invoice", "adam@example.org")
	b.until("the dead letters", `document.querySelectorAll('.letter').length === 2`)
	b.until("why", b.hasText(".letter .error", "user unknown"))
	b.until("one cause of both", `(() => { const rows = document.querySelectorAll('.causes tbody tr'); return rows.length === 1 && rows[0].children[2].textContent === '2' && rows[0].textContent.includes('user unknown'); })()`)
	b.click(`.causes tbody button`)
	b.until("those of the cause", `document.querySelector('.causes tbody tr[data-chosen]') && document.querySelectorAll('.letter').length === 2`)
	b.click(`.causes tbody button`)
	s.strict.Store(false)
	b.click(`.letter button.primary`)
	b.until("one left", `document.querySelectorAll('.letter').length === 1`)
	b.show("tasks")
	b.until("done", `[...document.querySelectorAll('#view-tasks tbody tr')].some((r) => r.textContent.includes('invoice') && r.children[2].textContent === '1')`)

	// Deleting is asked twice: once is not enough, and keeping keeps.
	b.show("dead")
	b.click(`.letter button.danger`)
	b.click(`dialog button[value="yes"]`)
	b.until("asked again", b.hasText("dialog h2", "Really?"))
	b.click(`dialog button[value=""]`)
	b.until("kept", `!document.querySelector('dialog') && document.querySelectorAll('.letter').length === 1`)
	b.click(`.letter button.danger`)
	b.click(`dialog button[value="yes"]`)
	b.until("asked again", b.hasText("dialog h2", "Really?"))
	b.click(`dialog button[value="yes"]`)
	b.until("gone", `document.querySelectorAll('.letter').length === 0`)

	// The log's level changes by a choice.
	b.show("log")
	b.until("records", `document.querySelectorAll('.log li').length > 0`)
	b.do(chromedp.SendKeys(chromedp.CSS(`#view-log form input`), "mailer"), chromedp.Click(chromedp.CSS(`#view-log form button`)))
	b.until("the level", b.hasText("#view-log table th", "mailer"))
	if level, ok := s.Log().Levels()["mailer"]; !ok || level >= 0 {
		t.Errorf("the level of mailer is %v", level)
	}
	b.show("settings")
	b.until("settings", `document.querySelectorAll('#view-settings tbody tr').length > 40`)
	b.until("the service's own, by its place", b.hasText("#view-settings tbody tr", "mail.batch80chassis.yaml:3:10"))
	b.until("its secret, hidden", b.hasText("#view-settings tbody tr", "hiddenCHASSIS_MAIL__TOKEN"))
	if body := run(b, "text", chromedp.Text(chromedp.CSS("body"))); strings.Contains(body, "e2e-secret") {
		t.Error("the page shows a secret")
	}
	b.quiet()

	// The drain is shown while a task still runs.
	s.send(t, "newsletter", "all@example.org")
	b.show("executions")
	b.until("it runs", b.hasText(".vt-inner .vt-row", "newsletter"))
	b.until("its progress", b.hasText(".vt-inner .vt-row", "33 % recipients"))
	stopped := make(chan error, 1)
	go func() { stopped <- s.Stop(context.Background()) }()
	b.until("draining", b.hasText("#banner", "Draining"))
	b.until("not ready", b.hasText("#status", "ERROR"))
	res, err := http.Get(s.AdminURL() + "readyz")
	if err != nil || res.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("readyz in the drain: %v %v", res, err)
	}
	if err == nil {
		res.Body.Close()
	}
	b.picture("page-draining")
	close(s.hold)
	if err := <-stopped; err != nil {
		t.Errorf("stop: %v", err)
	}
	b.until("the end", b.hasText("#banner", "The connection is lost"))
}

// TestPicturesAndAccessibility looks at every view, in light, dark, and on a
// phone, with a service at work behind it.
func TestPicturesAndAccessibility(t *testing.T) {
	s := start(t, nil)
	b := browse(t, s.AdminURL())
	s.load(t)
	s.Breaker("https://payments.internal")
	for range 3 {
		s.send(t, "newsletter", "all@example.org")
		s.send(t, "invoice", "zoë@example.org")
	}
	pay := s.Breaker("https://payments.internal")
	for range 3 {
		if err := pay.Do(t.Context(), "/v2/charges", func(context.Context) error { return fmt.Errorf("connection refused") }); err == nil {
			t.Fatal("a failure was none")
		}
	}
	if err := pay.ForceOpen("/v2/refunds", time.Hour); err != nil {
		t.Fatal(err)
	}
	s.Logger("mailer").Warn("the list has doubles", "list", "spring", "doubles", 12)
	s.Logger("mailer").Error("a bounce could not be read", "error", "unexpected EOF")
	b.until("dead letters", b.hasText(".tabs .count", "3"))
	b.until("some history", `document.querySelector('.spark .line').getAttribute('d').split('L').length > 15`)
	for _, look := range []struct {
		name          string
		width, height int64
		theme         string
	}{{"light", 1360, 900, "light"}, {"dark", 1360, 900, "dark"}, {"phone", 390, 844, "light"}, {"phone-dark", 390, 844, "dark"}} {
		b.look(look.width, look.height, look.theme)
		for _, view := range []string{"overview", "tasks", "executions", "dead", "breakers", "log", "settings"} {
			b.show(view)
			b.until(view, fmt.Sprintf(`!!document.querySelector('#view-%s') && document.querySelector('#view-%[1]s').textContent.length > 20`, view))
			b.until("its content", map[string]string{
				"executions": `document.querySelectorAll('.vt-inner .vt-row').length > 0`,
				"dead":       `document.querySelectorAll('.letter').length === 3`,
				"breakers":   `document.querySelectorAll('.entry').length >= 3`,
				"log":        `document.querySelectorAll('.log li').length > 5`,
				"settings":   `document.querySelectorAll('#view-settings tbody tr').length > 40`,
				"tasks":      `document.querySelectorAll('#view-tasks tbody tr').length === 3`,
				"overview":   `document.querySelectorAll('.feed li').length > 5`,
			}[view])
			if eval[bool](b, "width", `document.documentElement.scrollWidth > innerWidth`) {
				b.t.Errorf("%s in %s is wider than the window", view, look.name)
			}
			if eval[bool](b, "the tab's place", `(r => r.left < 0 || r.right > innerWidth)(document.querySelector('.tabs [aria-current]').getBoundingClientRect())`) {
				b.t.Errorf("the tab of %s in %s is outside of the window", view, look.name)
			}
			b.picture(fmt.Sprintf("page-%s-%s", view, look.name))
			if look.name == "light" || look.name == "phone-dark" { // each theme and each layout, once
				b.accessible(view + " in " + look.name)
			}
		}
	}
	b.show("dead")
	b.click(`.letter button.danger`)
	b.accessible("a dialog")
	b.quiet()
}

// TestThePageNamesTheRightThatIsRefused at the queue that it is about.
func TestThePageNamesTheRightThatIsRefused(t *testing.T) {
	queue, err := localsqs.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = queue.Close() }) // after the stop of the service
	var denies atomic.Bool
	denies.Store(true)
	wire := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.Header.Get("X-Amz-Target"), "DeleteMessage") && denies.Load() {
			w.WriteHeader(http.StatusForbidden)
			fmt.Fprint(w, `{"__type":"com.amazonaws.sqs#AccessDenied","message":"User is not authorized to perform: sqs:deletemessage"}`)
			return
		}
		queue.ServeHTTP(w, r)
	}))
	t.Cleanup(wire.Close)
	t.Setenv("AWS_ACCESS_KEY_ID", "local")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "local")
	s := start(t, func(set *chassis.Settings) {
		set.Queue.Endpoint, set.Queue.Region, set.Tasks.TaskPool = wire.URL, "us-east-1", "mailer-tasks"
	})
	b := browse(t, s.AdminURL())
	s.send(t, "welcome", "reader@example.org")
	b.until("refused", b.hasText("#view-overview tbody th", "refused: sqs:DeleteMessage"))
	b.until("not ready", b.hasText("#status", "ERROR"))
	for _, look := range []struct {
		name          string
		width, height int64
		theme         string
	}{{"light", 1360, 900, "light"}, {"dark", 1360, 900, "dark"}, {"phone", 390, 844, "light"}} {
		b.look(look.width, look.height, look.theme)
		if eval[bool](b, "width", `document.documentElement.scrollWidth > innerWidth`) {
			t.Errorf("in %s it is wider than the window", look.name)
		}
		b.picture("page-refused-" + look.name)
		b.accessible("a refused right in " + look.name)
	}
	denies.Store(false)
	b.until("granted again", `![...document.querySelectorAll('#view-overview tbody th')].some((e) => e.textContent.includes('refused'))`)
	b.quiet()
}

// TestThePageCanBeUsedByKeyboardAlone goes to a view by its number, searches by
// a stroke, and opens and dismisses a dialog.
func TestThePageCanBeUsedByKeyboardAlone(t *testing.T) {
	s := start(t, nil)
	s.send(t, "newsletter", "all@example.org")
	b := browse(t, s.AdminURL())
	b.until("live", `document.getElementById('live').dataset.on === 'true'`)
	b.do(chromedp.KeyEvent("3"))
	b.until("executions", `!!document.querySelector('#view-executions')`)
	b.until("the row", b.hasText(".vt-inner .vt-row", "newsletter"))
	// The driver sends a key's press and its character apart, so only the press.
	eval[bool](b, "slash", `document.body.dispatchEvent(new KeyboardEvent('keydown', {key: '/', bubbles: true, cancelable: true})) || true`)
	b.until("the search has the focus", `document.activeElement.type === 'search'`)
	b.do(chromedp.KeyEvent("newsl"))
	b.until("found", `document.querySelectorAll('.vt-inner .vt-row:not([hidden])').length === 1`)
	for range 8 {
		b.do(chromedp.KeyEvent("\t"))
		if eval[bool](b, "focus", `document.activeElement.matches('.vt-inner button')`) {
			break
		}
	}
	b.do(chromedp.KeyEvent("\r"))
	b.until("the dialog", b.hasText("dialog h2", "newsletter"))
	b.until("its focus is inside", `document.querySelector('dialog').contains(document.activeElement)`)
	b.do(chromedp.KeyEvent("\x1b"))
	b.until("dismissed", `!document.querySelector('dialog')`)
	b.quiet()
}

// TestThePageAsksForTheToken and shows nothing of the service before.
func TestThePageAsksForTheToken(t *testing.T) {
	const token = "a token of thirty-two characters"
	s := start(t, func(set *chassis.Settings) { set.Admin.Token = settings.NewSecret(strings.ReplaceAll(token, " ", "-")) })
	b := browse(t, s.AdminURL())
	b.until("asked", `!!document.querySelector('dialog input[type=password]')`)
	if body := run(b, "text", chromedp.Text(chromedp.CSS("body"))); strings.Contains(body, "mailer") {
		t.Errorf("without the token the page shows %q", body)
	}
	b.do(chromedp.SendKeys(chromedp.CSS(`dialog input`), "wrong-but-of-a-fair-length\r"))
	b.until("refused", b.hasText("dialog [role=alert]", "That token is wrong"))
	b.do(chromedp.SendKeys(chromedp.CSS(`dialog input`), strings.ReplaceAll(token, " ", "-")+"\r"))
	b.until("let in", `document.getElementById('name').textContent === 'mailer'`)
}

// TestThePageTellsWhenTheDeadLettersCannotBeSeen, instead of that there are
// none, and follows those of every pool.
func TestThePageTellsWhenTheDeadLettersCannotBeSeen(t *testing.T) {
	s := start(t, func(set *chassis.Settings) { set.Tasks.Pools = map[string]chassis.PoolSettings{"reports": {}} })
	b := browse(t, s.AdminURL())
	b.until("live", `document.getElementById('live').dataset.on === 'true'`)
	b.show("dead")
	b.until("none", b.hasText("#view-dead .empty", "No task has been given up."))
	if _, err := s.Send(t.Context(), "invoice", 1, task.Pool("reports_dead")); err != nil {
		t.Fatal(err)
	}
	b.until("that of the other pool", `document.querySelectorAll('.letter').length === 1`)
	eval[bool](b, "a queue that is gone", `(() => {
		const real = window.fetch;
		window.fetch = (u, o) => String(u).startsWith('api/v1/dead') ? Promise.resolve(new Response('{"detail":"the queue is gone."}', { status: 500 })) : real(u, o);
		return true;
	})()`)
	eval[bool](b, "look again", `[...document.querySelectorAll('#view-dead button')].find((e) => e.textContent === 'Look again').click() ?? true`)
	b.until("told", b.hasText("#view-dead .empty", "the queue is gone."))
	state := eval[string](b, "after the next state", `new Promise((seen) => setTimeout(() => seen(document.querySelector('#view-dead .empty').textContent), 2500))`)
	if !strings.Contains(state, "the queue is gone.") {
		t.Errorf("then it says %q", state)
	}
}
