package outbox

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/sambatech/chassis/actors/poller"
)

func TestJudge(t *testing.T) {
	away := errors.New("connection refused")
	entry := func(code string, fault bool) error {
		return fmt.Errorf("sending: %w", &poller.BatchError{Code: code, SenderFault: fault})
	}
	for name, c := range map[string]struct {
		err    error
		others bool
		tries  int
		want   verdict
	}{
		"acknowledged":                           {nil, false, 0, sent},
		"acknowledged at the last try":           {nil, true, 9, sent},
		"too large":                              {&poller.TooLargeError{}, false, 0, aside},
		"no message that SQS takes":              {fmt.Errorf("x: %w", poller.ErrInvalidMessage), true, 0, aside},
		"no name of a queue":                     {fmt.Errorf("x: %w", poller.ErrQueueName), false, 0, aside},
		"the queue is not there":                 {poller.ErrNoQueue, false, 9, stays},
		"the queue is away":                      {away, false, 9, stays},
		"it alone failed":                        {away, true, 0, failed},
		"it alone failed for the last time":      {away, true, 9, aside},
		"the pass ran out of time":               {context.DeadlineExceeded, true, 9, stays},
		"the sender is closed":                   {poller.ErrSenderClosed, true, 9, stays},
		"the entry is refused":                   {entry("InvalidMessageContents", true), false, 0, aside},
		"a right is missing":                     {entry("AccessDenied", true), false, 0, stays},
		"a key is missing":                       {entry("KmsDisabled", true), false, 0, stays},
		"the entry was throttled":                {entry("RequestThrottled", false), true, 9, stays},
		"an internal error of the entry":         {entry("InternalError", false), true, 1, failed},
		"an internal error, the tenth":           {entry("InternalError", false), true, 9, aside},
		"an internal error of all that is there": {entry("InternalError", false), false, 9, stays},
	} {
		t.Run(name, func(t *testing.T) {
			if got := judge(c.err, c.others, c.tries, 10); got != c.want {
				t.Errorf("verdict %d, want %d", got, c.want)
			}
		})
	}
}

func TestPauseGrowsToItsMost(t *testing.T) {
	var b backoff
	now := time.Unix(0, 0)
	for n, want := range []time.Duration{leastPause, 2 * leastPause, 4 * leastPause} {
		b.fail(now, func() float64 { return 1 })
		if got := b.until.Sub(now); got != want {
			t.Errorf("pause %d is %v, want %v", n+1, got, want)
		}
	}
	for range 50 {
		b.fail(now, func() float64 { return 0 })
	}
	if got := b.until.Sub(now); got != mostPause/2 {
		t.Errorf("the longest pause is at least %v, want %v", got, mostPause/2)
	}
	if first, last := retryWait(1), retryWait(100); first != time.Second || last != 5*time.Minute {
		t.Errorf("a row waits %v at first and %v in the end", first, last)
	}
}

func TestPausedPoolsAreLeftOut(t *testing.T) {
	now, most := time.Unix(0, 0), func() float64 { return 1 }
	p := pauses{}
	if got := p.text(now); got != "\n" {
		t.Errorf("without a pause %q", got)
	}
	if !p.fail("mails", now, most) || p.fail("mails", now, most) {
		t.Error("the first failure alone is news")
	}
	if got := p.text(now); got != "\nmails\n" {
		t.Errorf("paused: %q", got)
	}
	if got := p.wait(now, time.Minute); got != 2*leastPause {
		t.Errorf("the relay waits %v, want the pause", got)
	}
	if got := p.text(now.Add(2 * leastPause)); got != "\n" {
		t.Errorf("after the pause %q", got)
	}
	if got := p.wait(now.Add(time.Hour), time.Minute); got != time.Minute {
		t.Errorf("after the pause the relay waits %v", got)
	}
	if !p.worked("mails") || p.worked("mails") {
		t.Error("the end of a pause is news once")
	}
	for i := range 10 * maxPaused {
		p.fail(fmt.Sprint(i), now, most)
	}
	if len(p) > maxPaused {
		t.Errorf("%d pools are remembered, more than %d", len(p), maxPaused)
	}
}
