//go:build unix

package poller_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/sambatech/chassis/actors/poller"
	"github.com/sambatech/chassis/queue/localsqs"
	"github.com/sambatech/chassis/queue/sqsclient"
)

// overLoopback is a queue that is reached over a socket, as a remote one is:
// the SDK's own HTTP client, signed requests. One try a request, so that a
// response that is lost on the way shows.
func overLoopback(t testing.TB, name string) *queue {
	t.Helper()
	srv, err := localsqs.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := srv.Close(); err != nil {
			t.Error(err)
		}
	})
	endpoint, err := srv.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	client, err := sqsclient.New(t.Context(), sqsclient.Settings{Endpoint: endpoint, Region: "us-east-1", MaxAttempts: 1},
		sqsclient.WithCredentials(credentials.NewStaticCredentialsProvider("AKID", "secret", "")))
	if err != nil {
		t.Fatal(err)
	}
	if err := sqsclient.Check(t.Context(), client); err != nil {
		t.Fatal(err)
	}
	q := &queue{t: t, srv: srv, client: client, name: name}
	if q.url, err = poller.EnsureQueue(t.Context(), client, name, poller.EnsureOptions{Create: true}); err != nil {
		t.Fatal(err)
	}
	return q
}

func TestOverLoopbackNoAnswerIsLost(t *testing.T) {
	q := overLoopback(t, "tasks")
	const n = 2000
	q.fill(n)
	r := q.start()
	r.want(500)
	settled := 0
	for settled < n {
		switch m := (<-r.inbox).(type) {
		case *poller.Delivered:
			if m.ReceiveCount != 1 {
				t.Errorf("received %d times", m.ReceiveCount)
			}
			r.done(m)
		case *poller.Settled:
			if m.Err != nil {
				t.Error(m.Err)
			}
			settled++
			r.want(1)
		default:
			t.Fatalf("got %T", m)
		}
	}
	if s := r.poller.Stats(); s.Failures+s.EntryFailures > 0 || s.Deleted != n {
		t.Errorf("%+v", s)
	}
	if left := q.left(); left != none {
		t.Error("left:", left)
	}
}
