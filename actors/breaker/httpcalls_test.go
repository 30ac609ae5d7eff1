package breaker

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// slowly is a base transport that answers with a status after a time.
type slowly struct {
	status int
	took   time.Duration
}

func (s *slowly) RoundTrip(r *http.Request) (*http.Response, error) {
	select {
	case <-time.After(s.took):
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
	return &http.Response{StatusCode: s.status, Header: http.Header{}, Request: r, Body: io.NopCloser(strings.NewReader("x"))}, nil
}

// HTTP calls are counted by how they were judged, with the time that they took.
func TestHTTPCallsAreCountedByVerdict(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t, Settings{ClosedFailLimit: 2, OpenTimeout: time.Hour, OpenMax: time.Hour})
		if got := b.HTTPCalls(); got.Refused != 0 || got.Judged != nil {
			t.Errorf("before the first: %+v", got)
		}
		base := &slowly{status: 200, took: 30 * time.Millisecond}
		client := &http.Client{Transport: b.Transport(base)}
		ask := func(ctx context.Context) {
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, b.Service()+"/x", nil)
			if err != nil {
				t.Fatal(err)
			}
			res, err := client.Do(req)
			if err != nil {
				return
			}
			_, _ = io.Copy(io.Discard, res.Body)
			_ = res.Body.Close()
		}
		for range 3 {
			ask(t.Context())
		}
		short, cancel := context.WithCancel(t.Context())
		time.AfterFunc(10*time.Millisecond, cancel)
		ask(short) // its caller goes: neutral
		base.status, base.took = 500, 2*time.Second
		for range 4 { // two failures, and two that are refused
			ask(t.Context())
		}
		got := b.HTTPCalls()
		for v, want := range map[Verdict]Latencies{
			Success: {Count: 3, Sum: 90 * time.Millisecond},
			Neutral: {Count: 1, Sum: 10 * time.Millisecond},
			Failure: {Count: 2, Sum: 4 * time.Second},
		} {
			if l := got.Judged[v]; l.Count != want.Count || l.Sum != want.Sum {
				t.Errorf("%v: %d calls of %v, not %d of %v", v, l.Count, l.Sum, want.Count, want.Sum)
			}
		}
		if l := got.Judged[Success]; l.AtMost[25*time.Millisecond] != 0 || l.AtMost[50*time.Millisecond] != 3 {
			t.Errorf("the buckets are %v", l.AtMost)
		}
		if got.Refused != 2 {
			t.Errorf("%d were refused", got.Refused)
		}
	})
}
