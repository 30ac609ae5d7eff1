package admin

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sambatech/chassis/actors/breaker"
	"github.com/sambatech/chassis/actors/dispatcher"
	"github.com/sambatech/chassis/settings"
)

// watch opens a stream in process and returns a function that waits for the
// next event of a kind.
func watch(t *testing.T, ctx context.Context, srv *Server) func(event string, into any) {
	t.Helper()
	pr, pw := net.Pipe()
	t.Cleanup(func() { pr.Close() })
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://localhost/api/v1/stream", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = "localhost"
	go func() {
		defer pw.Close()
		srv.Handler().ServeHTTP(&pipeWriter{w: pw, header: http.Header{}}, r)
	}()
	lines := bufio.NewScanner(pr)
	lines.Buffer(nil, 10<<20)
	return func(event string, into any) {
		t.Helper()
		for lines.Scan() {
			if lines.Text() != "event: "+event {
				continue
			}
			lines.Scan()
			if into != nil {
				if err := json.Unmarshal([]byte(strings.TrimPrefix(lines.Text(), "data: ")), into); err != nil {
					t.Fatalf("%s: %v", lines.Text(), err)
				}
			}
			return
		}
		t.Fatalf("the stream ended before an event %q", event)
	}
}

// pipeWriter is a ResponseWriter over a pipe, so that streams can be tested on
// a simulated clock, which a socket would stop.
type pipeWriter struct {
	w      net.Conn
	header http.Header
}

func (p *pipeWriter) Header() http.Header         { return p.header }
func (p *pipeWriter) WriteHeader(int)             {}
func (p *pipeWriter) Write(b []byte) (int, error) { return p.w.Write(b) }
func (p *pipeWriter) Flush()                      {}

func TestTheStreamShowsStateEventsLogAndHistory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlant()
		srv := serve(t, p, Settings{})
		time.Sleep(5*time.Second + time.Millisecond) // on the bubble's clock: five samples
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		next := watch(t, ctx, srv)
		var history []Sample
		next("history", &history)
		if len(history) != 5 {
			t.Errorf("%d samples", len(history))
		}
		var st State
		next("state", &st)
		if st.Service.Name != "mailer" {
			t.Errorf("%+v", st)
		}
		p.set(func() {
			p.tasks[0].Succeeded += 30
			p.events[0] <- &dispatcher.Event{Kind: "failed", Task: "welcome", Error: "550"}
			p.follow[0] <- `{"msg":"one"}`
		})
		var sample Sample
		next("sample", &sample)
		if sample.Succeeded != 30 {
			t.Errorf("%+v", sample)
		}
		var events batch[dispatcher.Event]
		next("events", &events)
		if len(events.List) != 1 || events.List[0].Error != "550" {
			t.Errorf("%+v", events)
		}
		var log batch[string]
		next("log", &log)
		if len(log.List) != 1 || log.List[0] != `{"msg":"one"}` {
			t.Errorf("%+v", log)
		}
		p.set(func() { p.breakers[0].State = breaker.Open })
		next("state", nil)
		next("state", &st)
		if st.Breakers[0].State != breaker.Open {
			t.Errorf("%+v", st.Breakers)
		}
	})
}

func TestAViewerThatDoesNotReadIsGivenUpAndNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlant()
		srv := serve(t, p, Settings{})
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		stuck := &viewer{frames: make(chan []byte, viewerBuffer)}
		srv.hub.join <- stuck
		next := watch(t, ctx, srv)
		for range 2 * viewerBuffer {
			next("state", nil)
		}
		n := 0
		for range stuck.frames {
			n++
		}
		if n != viewerBuffer {
			t.Errorf("%d frames were kept for it", n)
		}
		cancel()
		synctest.Wait()
		p.mu.Lock()
		defer p.mu.Unlock()
		if len(p.events) != 0 || len(p.follow) != 0 {
			t.Errorf("with no viewer left, %d event and %d log subscriptions are", len(p.events), len(p.follow))
		}
	})
}

func TestViewersAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := serve(t, newPlant(), Settings{})
		for range maxViewers {
			srv.hub.join <- &viewer{frames: make(chan []byte, 2*maxViewers)} // each that joins makes the hub look once
		}
		if w := ask(srv, "GET", "/api/v1/stream", ""); w.Code != http.StatusServiceUnavailable {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	})
}

func TestABurstOfEventsIsCutAndCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlant()
		srv := serve(t, p, Settings{})
		next := watch(t, t.Context(), srv)
		next("state", nil)
		for range 900 {
			p.set(func() { p.events[0] <- &dispatcher.Event{Kind: "started"} })
		}
		var events batch[dispatcher.Event]
		next("events", &events)
		if len(events.List) != maxBatch || events.More != 900-maxBatch {
			t.Errorf("%d and %d more", len(events.List), events.More)
		}
	})
}

func TestListenServesStreamsAndClosesThem(t *testing.T) {
	p := newPlant()
	srv := serve(t, p, Settings{Listen: "127.0.0.1:0"})
	if err := srv.Listen(); err != nil {
		t.Fatal(err)
	}
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, srv.URL()+"api/v1/stream", nil)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if res.StatusCode != http.StatusOK || res.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("%v", res)
	}
	if err := srv.Close(t.Context()); err != nil {
		t.Errorf("an open stream keeps the server: %v", err)
	}
	if body := text(t, res.Body); !strings.Contains(body, "event: history") {
		t.Errorf("%q", body)
	}
	res.Body.Close()
	if _, err := client.Do(req); err == nil {
		t.Error("it still serves")
	}
}

func TestATakenPortIsAnErrorOnlyIfItWasAskedFor(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	asked := serve(t, newPlant(), Settings{Listen: taken.Addr().String()})
	if err := asked.Listen(); err == nil || !strings.Contains(err.Error(), "admin.listen") {
		t.Errorf("the port that was asked for is taken: %v", err)
	}
	for range 2 {
		if err := serve(t, newPlant(), Settings{}).Listen(); err != nil {
			t.Errorf("started twice: %v", err)
		}
	}
}

// A token that had leaked was taken out of the settings, and its open stream went
// on to show the state and the log.
func TestAStreamOutlivedItsToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		old := Settings{Tokens: map[string]Token{"leaked": {Token: settings.NewSecret("0123456789abcdef-leaked"), Scope: ScopeRead}}}
		srv := serve(t, newPlant(), old)
		pr, pw := net.Pipe()
		defer pr.Close()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://localhost/api/v1/stream", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer 0123456789abcdef-leaked")
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			srv.Handler().ServeHTTP(&pipeWriter{w: pw, header: http.Header{}}, r)
		}()
		go func() { _, _ = io.Copy(io.Discard, pr) }()
		time.Sleep(3 * time.Second)
		if err := srv.Apply(Settings{Tokens: map[string]Token{"new": {Token: settings.NewSecret("0123456789abcdef-newer"), Scope: ScopeRead}}}); err != nil {
			t.Fatal(err)
		}
		select {
		case <-ended:
		case <-time.After(3 * time.Second):
			t.Error("the stream goes on")
		}
	})
}
