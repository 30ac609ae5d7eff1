package breaker_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sambatech/chassis/actors/breaker"
)

// looker is a classifier to which a body with BAD in it is a failure, and one
// with GOOD a success; it keeps what it was shown.
type looker struct {
	mu   sync.Mutex
	seen []string
}

func (l *looker) classify(o breaker.Outcome) breaker.Verdict {
	if o.Err != nil {
		return o.Default
	}
	l.mu.Lock()
	l.seen = append(l.seen, fmt.Sprintf("%s whole=%v %v", o.Body, o.Whole, o.Default))
	l.mu.Unlock()
	switch {
	case bytes.Contains(o.Body, []byte("BAD")):
		return breaker.Failure
	case bytes.Contains(o.Body, []byte("GOOD")):
		return breaker.Success
	}
	return o.Default
}

func (l *looker) take() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := strings.Join(l.seen, "; ")
	l.seen = nil
	return s
}

// respond serves the response that the URL's query describes.
func respond(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	if q.Get("chunked") == "" {
		w.Header().Set("Content-Length", strconv.Itoa(len(q.Get("body"))+len(q.Get("cut"))))
	}
	status, err := strconv.Atoi(q.Get("status"))
	if err != nil {
		status = 200
	}
	w.WriteHeader(status)
	_, _ = io.WriteString(w, q.Get("body"))
	w.(http.Flusher).Flush()
	if q.Get("cut") != "" {
		panic(http.ErrAbortHandler)
	}
}

func TestBodyPeek(t *testing.T) {
	forHTTP(t, func(t *testing.T, http2 bool) {
		for _, c := range []struct {
			name, query string
			seen        string // what the classifier was shown
			failures    int
		}{
			{"shorter than the limit", "body=BAD", "BAD whole=true success", 1},
			{"chunked", "body=BAD&chunked=1", "BAD whole=true success", 1},
			{"longer than the limit", "body=12345678BAD", "12345678 whole=false success", 0},
			{"longer and chunked", "body=12345BAD90&chunked=1", "12345BAD whole=false success", 1},
			{"as long as the limit", "body=12345678", "12345678 whole=true success", 0},
			{"empty", "", " whole=true success", 0},
			{"status says failure, body says nothing", "status=503&body=hm", "hm whole=true failure", 1},
			{"status says failure, body success", "status=503&body=GOOD", "GOOD whole=true failure", 0},
			{"breaks off before the limit", "body=GOOD&cut=1", "", 1},
			{"breaks off after the limit", "body=GOOD56789&cut=1", "GOOD5678 whole=false success", 1},
		} {
			t.Run(c.name, func(t *testing.T) {
				var l looker
				b, client, url := serve(t, http2, breaker.Settings{}, respond, breaker.WithClassifier(l.classify), breaker.WithBodyPeek(8, nil))
				res, err := client.Get(url + "/a?" + c.query)
				if err != nil {
					t.Fatal(err)
				}
				if got := l.take(); got != "" && res.ContentLength != 0 {
					t.Errorf("judged before the body was read: %s", got)
				}
				got, err := io.ReadAll(res.Body)
				if cut := strings.Contains(c.query, "cut"); cut != (err != nil) {
					t.Errorf("read: %v", err)
				}
				_ = res.Body.Close()
				if want := res.Request.URL.Query().Get("body"); string(got) != want {
					t.Errorf("the caller read %q, want %q", got, want)
				}
				if got := l.take(); got != c.seen && c.query != "" {
					t.Errorf("shown %q, want %q", got, c.seen)
				}
				if n := failures(b); n != c.failures {
					t.Errorf("%d failures, want %d", n, c.failures)
				}
			})
		}
	})
}

// TestBodyPeekHoldsNoReader: the caller of a stream has its headers and
// each piece when they come, with less than limit bytes in them; and a byte a
// read is as good as any.
func TestBodyPeekHoldsNoReader(t *testing.T) {
	forHTTP(t, func(t *testing.T, http2 bool) {
		next := make(chan struct{})
		var l looker
		b, client, url := serve(t, http2, breaker.Settings{}, func(w http.ResponseWriter, r *http.Request) {
			w.(http.Flusher).Flush()
			for _, piece := range []string{"B", "A", "D"} {
				<-next // the caller has what was before
				_, _ = io.WriteString(w, piece)
				w.(http.Flusher).Flush()
			}
			<-r.Context().Done()
		}, breaker.WithClassifier(l.classify), breaker.WithBodyPeek(3, nil))
		res, err := client.Get(url + "/events")
		if err != nil {
			t.Fatal(err)
		}
		var got [1]byte
		for i := range 3 {
			if n := failures(b); n != 0 {
				t.Fatalf("judged after %d bytes", i)
			}
			next <- struct{}{}
			if _, err := io.ReadFull(res.Body, got[:]); err != nil {
				t.Fatal(err)
			}
		}
		if n := failures(b); n != 1 {
			t.Errorf("%d failures", n)
		}
		_ = res.Body.Close()
		if got := l.take(); got != "BAD whole=false success" {
			t.Errorf("shown %q", got)
		}
	})
}

func TestBodyPeekOfABodyThatIsClosedOrCancelled(t *testing.T) {
	endless := func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(map[string]int{"": 200, "503": 503}[r.URL.Query().Get("status")])
		_, _ = io.WriteString(w, r.URL.Query().Get("body"))
		w.(http.Flusher).Flush()
		<-r.Context().Done()
		panic(http.ErrAbortHandler) // not a proper end
	}
	for _, c := range []struct {
		query, seen string
		read        int
		failures    int
	}{
		{"body=x", "x whole=false success", 1, 0},
		{"body=BAD", "BAD whole=false success", 3, 1},
		{"body=BAD", " whole=false success", 0, 0},
		{"body=x&status=503", "x whole=false failure", 1, 1},
		{"body=GOOD&status=503", "GOOD whole=false failure", 4, 0},
	} {
		for _, cancelled := range []bool{false, true} {
			if cancelled && c.read == 0 {
				continue // what has come already may be read after it
			}
			t.Run(fmt.Sprintf("%s/%d/%v", c.query, c.read, cancelled), func(t *testing.T) {
				var l looker
				b, client, url := serve(t, false, breaker.Settings{}, endless, breaker.WithClassifier(l.classify), breaker.WithBodyPeek(100, nil))
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				req, _ := http.NewRequestWithContext(ctx, "GET", url+"/a?"+c.query, nil)
				res, err := client.Do(req)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := io.ReadFull(res.Body, make([]byte, c.read)); err != nil {
					t.Fatal(err)
				}
				if cancelled {
					cancel()
					if _, err := io.Copy(io.Discard, res.Body); !errors.Is(err, context.Canceled) {
						t.Error(err)
					}
				}
				_ = res.Body.Close()
				want := c.seen
				if cancelled { // is neutral, a Close is not
					want = strings.Replace(want, "success", "neutral", 1)
				}
				if got := l.take(); got != want {
					t.Errorf("shown %q, want %q", got, want)
				}
				if n := failures(b); n != c.failures {
					t.Errorf("%d failures, want %d", n, c.failures)
				}
			})
		}
	}
}

// TestBodyPeekIsOfWhatTheBaseDelivers: gzip that http.Transport asked for is
// undone, gzip that the caller asked for is not.
func TestBodyPeekIsOfWhatTheBaseDelivers(t *testing.T) {
	var l looker
	_, client, url := serve(t, false, breaker.Settings{}, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		zip := gzip.NewWriter(w)
		_, _ = io.WriteString(zip, "BAD")
		_ = zip.Close()
	}, breaker.WithClassifier(l.classify), breaker.WithBodyPeek(100, nil))
	res, err := client.Get(url)
	if read(t, res, err) != "BAD" || l.take() != "BAD whole=true success" {
		t.Error("the body was not decoded")
	}
	req, _ := http.NewRequest("GET", url, nil)
	req.Header.Set("Accept-Encoding", "gzip")
	res, err = client.Do(req)
	if got := read(t, res, err); !strings.HasPrefix(got, "\x1f\x8b") || !strings.HasPrefix(l.take(), "\x1f\x8b") {
		t.Error("the body was decoded")
	}
}

// TestBodyPeekOfSomeResponses: others are judged at their headers, as without.
func TestBodyPeekOfSomeResponses(t *testing.T) {
	var l looker
	b, client, url := serve(t, false, breaker.Settings{}, respond, breaker.WithClassifier(l.classify),
		breaker.WithBodyPeek(100, func(res *http.Response) bool { return res.StatusCode == 200 }))
	// In this order: a success after it would clear the failure.
	for _, c := range []struct{ query, want string }{{"status=418&body=BAD", " whole=false success"}, {"body=BAD", "BAD whole=true success"}} {
		res, err := client.Get(url + "/a?" + c.query)
		read(t, res, err)
		if got := l.take(); got != c.want {
			t.Errorf("%s: shown %q, want %q", c.query, got, c.want)
		}
	}
	if n := failures(b); n != 1 {
		t.Errorf("%d failures", n)
	}
}

// TestBodyPeekOfProbes: a probe that streams is judged by half of its time, and
// one that is decoded by what the decoder has read when it is closed.
func TestBodyPeekOfProbes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l looker
		b := newBreaker(t, breaker.Settings{ClosedFailLimit: 1, HalfSuccessLimit: 3, ProbeTimeout: 4 * time.Second},
			breaker.WithClassifier(l.classify), breaker.WithBodyPeek(100, nil))
		pieces := make(chan string, 1)
		client := &http.Client{Transport: b.Transport(roundTripper(func(r *http.Request) (*http.Response, error) {
			r.Context().Done()
			return &http.Response{StatusCode: 200, ContentLength: -1, Body: io.NopCloser(&stream{pieces})}, nil
		}))}
		_ = b.Do(t.Context(), "", fail)
		time.Sleep(10 * time.Second)
		synctest.Wait()

		res, err := client.Get("https://mail.internal/a")
		if err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(2*time.Second, func() { pieces <- "x" })
		if _, err := res.Body.Read(make([]byte, 10)); err != nil {
			t.Fatal(err)
		}
		if e := b.Snapshot().Entries[0]; e.Successes != 1 || e.Probes != 0 || l.take() != "x whole=false success" {
			t.Errorf("%+v", e)
		}
		_ = res.Body.Close()

		for _, piece := range []string{`{"a":"GOOD"}`, `{"a":"BAD"}`} {
			if res, err = client.Get("https://mail.internal/a"); err != nil {
				t.Fatal(err)
			}
			pieces <- piece
			time.AfterFunc(time.Millisecond, func() { pieces <- "" })
			var v struct{ A string }
			if err := json.NewDecoder(res.Body).Decode(&v); err != nil {
				t.Fatal(err)
			}
			_ = res.Body.Close()
			if got := l.take(); got != piece+" whole=false success" {
				t.Errorf("shown %q", got)
			}
		}
		if b.State() != breaker.Open {
			t.Errorf("%+v", b.Snapshot().Entries)
		}
	})
}

// stream is a body of pieces; an empty one ends it.
type stream struct{ pieces chan string }

func (s *stream) Read(p []byte) (int, error) {
	piece := <-s.pieces
	if piece == "" {
		return 0, io.EOF
	}
	return copy(p, piece), nil
}

// TestClosingWhileReading: Close may come from another goroutine than Read.
func TestClosingWhileReading(t *testing.T) {
	var l looker
	_, client, url := serve(t, false, breaker.Settings{}, func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			if _, err := io.WriteString(w, "xyz"); err != nil {
				return
			}
			w.(http.Flusher).Flush()
		}
	}, breaker.WithClassifier(l.classify), breaker.WithBodyPeek(1<<20, nil))
	for range 20 {
		res, err := client.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan struct{})
		go func() { defer close(done); _, _ = io.Copy(io.Discard, res.Body) }()
		_ = res.Body.Close()
		<-done
	}
}

func TestBadBodyPeek(t *testing.T) {
	system := newSystem(t)
	f := breaker.WithClassifier(func(o breaker.Outcome) breaker.Verdict { return o.Default })
	for want, opts := range map[string][]breaker.Option{
		"got 0":                  {f, breaker.WithBodyPeek(0, nil)},
		"got -1":                 {f, breaker.WithBodyPeek(-1, nil)},
		"got 1048577":            {f, breaker.WithBodyPeek(1<<20+1, nil)},
		"without WithClassifier": {breaker.WithBodyPeek(100, nil)},
	} {
		if _, err := breaker.Spawn(system, "https://mail.internal", breaker.Settings{}, opts...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
