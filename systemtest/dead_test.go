package systemtest_test

import (
	"context"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"
	"weak"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/queue/localsqs"
	"github.com/sambatech/chassis/queue/sqsclient"
	"github.com/sambatech/chassis/systemtest/internal/kit"
	"github.com/sambatech/chassis/task"
)

// hangUp is a client whose caller goes away as soon as something was sent.
type hangUp struct {
	next interface {
		Do(*http.Request) (*http.Response, error)
	}
	cancel context.CancelFunc // nil: not yet
}

func (h *hangUp) Do(r *http.Request) (*http.Response, error) {
	res, err := h.next.Do(r)
	if h.cancel != nil && strings.HasSuffix(r.Header.Get("X-Amz-Target"), "SendMessageBatch") {
		h.cancel()
	}
	return res, err
}

// TestALetterThatWasSentBackIsDeletedThoughNobodyWaits: else a tab that is
// closed at the wrong time makes the task run twice.
func TestALetterThatWasSentBackIsDeletedThoughNobodyWaits(t *testing.T) {
	queue, err := localsqs.New()
	if err != nil {
		t.Fatal(err)
	}
	defer queue.Close()
	line := &hangUp{next: queue.HTTPClient()}
	client, err := sqsclient.New(t.Context(), sqsclient.Settings{}, sqsclient.WithHTTPClient(line))
	if err != nil {
		t.Fatal(err)
	}
	sys, err := chassis.New("mailer", chassis.WithSettings(chassis.DefaultSettings()), chassis.WithSQS(client), chassis.WithLogOutput(io.Discard), chassis.WithoutDefaultLogger(), kit.ForTests)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := sys.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	if _, err := sys.Send(t.Context(), "doomed", 1, task.Pool("mailer-tasks_dead")); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for d, err := range sys.DeadLetters(ctx) {
		if err != nil {
			t.Fatal(err)
		}
		line.cancel = cancel
		_ = d.SendBack(ctx) // the send may be reported as given up: it was under way
		break
	}
	if ctx.Err() == nil {
		t.Fatal("nothing was sent")
	}
	for _, s := range queue.Stats().Queues {
		if left := s.Visible + s.InFlight + s.Delayed; s.Name == "mailer-tasks_dead" && left != 0 || s.Name == "mailer-tasks" && left != 1 {
			t.Errorf("%s has %d messages", s.Name, left)
		}
	}
}

// TestALookAtManyLettersDoesNotKeepThemAll: a pool may hold 120 000, of 1 MiB
// each.
func TestALookAtManyLettersDoesNotKeepThemAll(t *testing.T) {
	sys, _ := kit.NewSystem(t, nil)
	for range 25 {
		if _, err := sys.Send(t.Context(), "doomed", 1, task.Pool("mailer-tasks_dead")); err != nil {
			t.Fatal(err)
		}
	}
	var first weak.Pointer[chassis.DeadLetter]
	n := 0
	for d, err := range sys.DeadLetters(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		switch n++; n {
		case 1:
			first = weak.Make(d)
		case 25:
			runtime.GC()
			if first.Value() != nil {
				t.Error("the first letter is still held at the last")
			}
		}
	}
	if n != 25 {
		t.Errorf("%d letters", n)
	}
	for _, err := range sys.DeadLetters(t.Context()) { // all were made visible again
		if n--; err != nil {
			t.Fatal(err)
		}
	}
	if n != 0 {
		t.Errorf("%d letters stayed hidden", n)
	}
}

// TestALookEndsThoughTheQueueHangs: the letters are visible by themselves after
// half a minute.
func TestALookEndsThoughTheQueueHangs(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		h := newHangable(t)
		if _, err := h.sys.Send(t.Context(), "doomed", 1, task.Pool("mailer-tasks_dead")); err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		for _, err := range h.sys.DeadLetters(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			h.hang.Store(true)
			break
		}
		if took := time.Since(begun); took > 31*time.Second {
			t.Errorf("it took %v", took)
		}
		h.hang.Store(false)
		if err := h.sys.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
}
