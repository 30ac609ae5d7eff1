package effects_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/sambatech/chassis/chassistest/effects"
	"github.com/sambatech/chassis/task"
)

func TestRequestsAreRecordedAndMade(t *testing.T) {
	var bodies []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		bodies = append(bodies, string(body))
	}))
	defer server.Close()
	f, log, _ := recorder()
	ctx := task.WithInfo(t.Context(), &task.Info{ExecID: "e1"})
	transport := server.Client().Transport
	for _, body := range []string{"short", strings.Repeat("long", 100)} {
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, server.URL+"/a", io.NopCloser(strings.NewReader(body)))
		must(t, err)
		r.Header.Set("Idempotency-Key", "k")
		res, err := f.Client(transport).Do(r)
		must(t, err)
		must(t, res.Body.Close())
	}
	all := log.List()
	if len(bodies) != 2 || bodies[0] != "short" || len(bodies[1]) != 400 || len(all) != 2 {
		t.Fatalf("%d requests arrived, %d were recorded", len(bodies), len(all))
	}
	e := all[0]
	if e.Name != "POST "+server.URL+"/a" || e.Key != "k" || e.Detail != "body short" || e.ExecID != "e1" || !e.Made || e.ReadOnly {
		t.Errorf("recorded %+v", e)
	}
	if !strings.HasPrefix(all[1].Detail, "body of 400 bytes, sha256 ") {
		t.Errorf("the detail of a long body is %q", all[1].Detail)
	}
}

// door is a gate whose Before is a function.
type door func([]*effects.Effect) error

func (d door) Before(_ context.Context, made []*effects.Effect) error { return d(made) }
func (d door) After([]*effects.Effect)                                {}
func (d door) Skipped([]*effects.Effect)                              {}

func TestARefusedRequestIsNotMade(t *testing.T) {
	made := 0
	next := roundTripper(func(r *http.Request) (*http.Response, error) {
		made++
		return &http.Response{StatusCode: 200, Body: http.NoBody, Request: r}, nil
	})
	log := &effects.Log{}
	refusal := effects.ErrUnavailable
	f := effects.New(log, door(func([]*effects.Effect) error { return refusal }), 1, make(chan struct{}))
	res, err := f.Client(next).Get("https://a.test/")
	must(t, err)
	must(t, res.Body.Close())
	if res.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("the status is %d", res.StatusCode)
	}
	refusal = errors.New("no")
	if res, err := f.Client(next).Get("https://a.test/"); !errors.Is(err, refusal) {
		t.Errorf("the error is %v", err)
		_ = res.Body.Close()
	}
	if made != 0 || log.List()[0].Made {
		t.Errorf("%d requests were made", made)
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestADeadProcessMakesNoRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		made := 0
		f, _, over := recorder()
		f.Die()
		client := f.Client(roundTripper(func(*http.Request) (*http.Response, error) { made++; return nil, errors.New("made") }))
		returned := make(chan error)
		go func() {
			res, err := client.Get("https://a.test/")
			if err == nil {
				_ = res.Body.Close()
			}
			returned <- err
		}()
		synctest.Wait()
		close(over)
		if err := <-returned; !errors.Is(err, effects.ErrDied) || made != 0 {
			t.Errorf("it returned %v, %d requests were made", err, made)
		}
	})
}
