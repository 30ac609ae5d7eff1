package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/task"
)

// payloads are texts of strangers: each would leave a trace if the page took it
// for anything but text.
var payloads = []string{
	`<img src=x onerror="window.pwned=1">`,
	`<script>window.pwned=2</script>`,
	`"><svg onload=window.pwned=3><a href="javascript:window.pwned=4">`,
	`${window.pwned=5}{{window.pwned=6}}`,
	"\u202egnp.exe\u2066 \u200f\u061c right to left",
	"\x1b]0;owned\x07\u009b2J",
	`</textarea><style>*{display:none}</style>`,
	strings.Repeat("long ", 4000),
	"__proto__",
}

// TestThePageShowsHostileTextsAsText: every payload in every field that strangers
// can fill, in every view and dialog.
func TestThePageShowsHostileTextsAsText(t *testing.T) {
	s := start(t, nil)
	url, err := s.SQS().GetQueueUrl(t.Context(), &sqs.GetQueueUrlInput{QueueName: aws.String("mailer-tasks")})
	if err != nil {
		t.Fatal(err)
	}
	held := task.Define[mail]("held")
	chassis.Handle(s.System, held, func(ctx context.Context, job task.Job[mail]) error {
		job.Report(1, 2, job.Args.Subject)
		if job.Args.To == "fail" {
			return task.Cancel(errors.New(job.Args.Subject))
		}
		select {
		case <-s.hold:
		case <-ctx.Done():
		}
		return ctx.Err()
	})
	hooks := s.Breaker("https://hooks.internal")
	for i, evil := range payloads {
		for k, to := range []string{"fail", "hold"} {
			body, err := json.Marshal(mail{to, evil})
			if err != nil {
				t.Fatal(err)
			}
			name := strings.Map(func(r rune) rune { // SQS takes no control characters in attributes
				if r < ' ' {
					return ' '
				}
				return r
			}, evil)
			m := task.Message{Name: "held", ExecID: fmt.Sprintf("%d-%d-%s", i, k, name), JobID: name, JobName: name, Body: string(body)}
			if _, err := s.SQS().SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: url.QueueUrl, MessageBody: &m.Body, MessageAttributes: m.Attributes()}); err != nil {
				t.Fatalf("payload %d: %v", i, err)
			}
		}
		_ = hooks.Do(t.Context(), "/"+strings.ReplaceAll(evil[:min(len(evil), 200)], "/", "."), func(context.Context) error { return errors.New(evil) })
		s.Logger("mailer").Error(evil, "text", evil, "error", errors.New(evil))
		if err := hooks.ForceOpen("/"+strings.ReplaceAll(evil[:min(len(evil), 200)], "/", "."), time.Hour); err != nil {
			t.Log(err)
		}
	}
	b := browse(t, s.AdminURL())
	b.until("live", `document.getElementById('live').dataset.on === 'true'`)
	harmless := func(where string) {
		t.Helper()
		if trace := eval[string](b, where, `Promise.resolve(String(window.pwned ?? ''))`); trace != "" {
			t.Errorf("%s: payload %s ran", where, trace)
		}
		if n := eval[int](b, where, `Promise.resolve(document.querySelectorAll('main img, main script, main style, dialog img, dialog script, main a[href^="javascript"], main svg[onload]').length)`); n > 0 {
			t.Errorf("%s: %d elements were made of text", where, n)
		}
		if mark := eval[string](b, where, `Promise.resolve((/[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/.exec(document.body.textContent +
			[...document.querySelectorAll('[title],[aria-label]')].map((e) => (e.title ?? '') + e.ariaLabel).join(' ')) ?? [''])[0])`); mark != "" {
			t.Errorf("%s: the mark %+q turns the direction of text", where, mark)
		}
		if wide := eval[bool](b, where, `Promise.resolve(document.documentElement.scrollWidth > innerWidth + 1)`); wide {
			t.Errorf("%s: a long text makes the page wider than its window", where)
		}
	}
	b.until("dead letters", `!!document.querySelector('.tabs .count:not([hidden])')`)
	for _, view := range []string{"tasks", "executions", "dead", "breakers", "log", "settings", "overview"} {
		b.show(view)
		time.Sleep(1500 * time.Millisecond) // of the stream
		harmless(view)
	}
	b.show("executions")
	b.click(`.vt-inner .vt-row:not([hidden]) button`)
	b.until("the dialog", b.hasText("dialog h2", "held"))
	harmless("the dialog of an execution")
	b.click(`dialog button[value="cancel"]`)
	b.until("asked", b.hasText("dialog h2", "Cancel"))
	harmless("the question")
	b.click(`dialog button[value="yes"]`)
	b.until("cancelled", b.hasText(".toast", "is cancelled"))
	b.show("dead")
	b.until("letters", `document.querySelectorAll('.letter').length > 1`)
	b.click(`.letter details summary`)
	harmless("a body")
	b.click(`.letter button.danger`)
	b.until("the question", b.hasText("dialog h2", "Delete"))
	harmless("the question to delete")
	b.click(`dialog button[value=""]`)
	b.show("breakers")
	b.until("entries", `document.querySelectorAll('.entry').length > 3`)
	b.click(`.entry:not([data-path=""]) button[data-act="reset"]`)
	b.until("reset", b.hasText(".toast", "is reset"))
	harmless("a toast")
	b.quiet()
}
