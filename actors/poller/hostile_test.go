package poller_test

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sambatech/chassis/actors/poller"
)

// A message that waits for its first extension goes to who subscribes meanwhile,
// and counts there.
func TestWhatIsHeldBackCountsForTheNewSubscriber(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newQueue(t, "tasks").start(timeout(20 * time.Second))
		r.send("m", 1)
		r.wire.breakBy(func(op string, body []byte, next func([]byte) (*http.Response, error)) (*http.Response, error) {
			resp, err := next(body)
			switch op {
			case receive:
				time.Sleep(16 * time.Second)
			case changes:
				time.Sleep(100 * time.Millisecond)
			}
			return resp, err
		})
		r.want(1)
		time.Sleep(16*time.Second + 50*time.Millisecond)
		fresh := make(chan any, 10)
		r.tell(&poller.Subscribe{To: r.subscriber(func(m any) { fresh <- m }), Epoch: 7})
		if d, ok := (<-fresh).(*poller.Delivered); !ok || d.Epoch != 7 {
			t.Errorf("%+v", d)
		}
		synctest.Wait()
		if s := r.poller.Stats(); s.Wanted != -1 {
			t.Errorf("%d wanted: the subscriber counts one message and no credit", s.Wanted)
		}
	})
}
