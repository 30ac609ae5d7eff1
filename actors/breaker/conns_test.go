package breaker_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sambatech/chassis/actors/breaker"
)

// TestWaitingForTheCallersOwnConnectionsIsNoFailure: one request that takes long,
// as it may, holds the only connection that the caller allows.
func TestWaitingForTheCallersOwnConnectionsIsNoFailure(t *testing.T) {
	for _, deadline := range []time.Duration{0, 3 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			base := serveInMemory(t, false, func(_ http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/export" {
					time.Sleep(time.Minute)
				}
			})
			base.MaxConnsPerHost = 1
			b, client := newMail(t, base, breaker.Settings{Patience: "/export=2m"})
			done := make(chan error, 1)
			go func() { done <- call(client, "/export", nil) }()
			synctest.Wait()
			for range 10 {
				ctx, cancel := t.Context(), context.CancelFunc(func() {})
				if deadline > 0 {
					ctx, cancel = context.WithTimeout(ctx, deadline)
				}
				req, err := http.NewRequestWithContext(ctx, http.MethodGet, mailService+"/v1", nil)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := client.Do(req); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("want a time-out, got %v", err)
				}
				cancel()
			}
			if b.State() != breaker.Closed || failures(b) != 0 {
				t.Errorf("%v, %d failures; want closed, none", b.State(), failures(b))
			}
			if err := <-done; err != nil {
				t.Error(err)
			}
			if err := call(client, "/v1", nil); err != nil {
				t.Errorf("the connection is free: %v", err)
			}
		})
	}
}

// TestAHostThatDoesNotConnectIsAFailure, though the caller's limit of connections
// is used up by the attempts.
func TestAHostThatDoesNotConnectIsAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		base := serveInMemory(t, false, func(http.ResponseWriter, *http.Request) {})
		base.MaxConnsPerHost = 1
		base.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			time.Sleep(time.Minute)
			return nil, errors.New("connection timed out")
		}
		b, client := newMail(t, base, breaker.Settings{ClosedFailLimit: 3})
		for range 3 {
			_ = call(client, "/v1", nil)
		}
		if b.State() != breaker.Open {
			t.Errorf("%v, %d failures", b.State(), failures(b))
		}
	})
}
