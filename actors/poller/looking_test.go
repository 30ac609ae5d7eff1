package poller_test

import (
	"errors"
	"net/http"
	"testing"
	"time"
)

// TestNothingIsReceivedBeforeTheAttributesAreKnown: a look that was lost, or made with
// expired credentials, says nothing of the queue. What came then was hidden by the
// settings' retention, and was gone where the queue's own is shorter.
func TestNothingIsReceivedBeforeTheAttributesAreKnown(t *testing.T) {
	answer := func(status int, shape string) func() (*http.Response, error) {
		return func() (*http.Response, error) {
			return respond(status, `{"__type":"com.amazonaws.sqs#`+shape+`","message":"no"}`), nil
		}
	}
	rows := map[string]struct {
		look     func() (*http.Response, error)
		receives bool // all the same: it works without the right to look
	}{
		"lost":            {look: func() (*http.Response, error) { return nil, errors.New("connection reset by peer") }},
		"unavailable":     {look: unavailable},
		"throttled":       {look: throttled},
		"expired":         {look: answer(403, "ExpiredTokenException")},
		"no right":        {look: answer(403, "AccessDeniedException"), receives: true},
		"no such request": {look: answer(400, "InvalidAction"), receives: true},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				q := newQueue(t, "tasks")
				q.send("m", 1)
				q.wire.breakBy(func(op string, body []byte, next func([]byte) (*http.Response, error)) (*http.Response, error) {
					if op == "GetQueueAttributes" {
						return row.look()
					}
					return next(body)
				})
				r := q.start()
				r.want(1)
				time.Sleep(time.Minute)
				looks := q.wire.count("GetQueueAttributes")
				if received := q.wire.count("ReceiveMessage") > 0; received != row.receives {
					t.Errorf("received is %v after a minute, want %v", received, row.receives)
				}
				if most := 70; looks > most || row.receives && looks > 2 {
					t.Errorf("%d looks in a minute", looks)
				}
				q.wire.restore()
				time.Sleep(2 * time.Second)
				if q.wire.count("ReceiveMessage") == 0 {
					t.Error("nothing is received two seconds after the queue has answered")
				}
			})
		})
	}
}
