package parts

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// serve starts a group with one server, and returns its URL.
func serve(t *testing.T, set Settings, server *http.Server) (*Group, *Server, string) {
	t.Helper()
	if server.Addr == "" {
		server.Addr = "127.0.0.1:0"
	}
	g, _ := newGroup(t, set)
	p := HTTP(nil, server)
	g.Add("api", p, Intake())
	start(t, g)
	scheme, addr, _ := strings.Cut(p.Detail(), " on ")
	return g, p, scheme + "://" + addr
}

// client is one without connections of others.
func client(t *testing.T, change func(*http.Transport)) *http.Client {
	tr := &http.Transport{}
	if change != nil {
		change(tr)
	}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

// get returns the body and whether the server closes the connection.
func get(c *http.Client, url string) (body string, closes bool, err error) {
	res, err := c.Get(url)
	if err != nil {
		return "", false, err
	}
	defer res.Body.Close()
	all, err := io.ReadAll(res.Body)
	return string(all), res.Close, err
}

func TestAPortInUseIsAnErrorOfTheStart(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	g, _ := newGroup(t, Settings{})
	g.Add("api", HTTP(nil, &http.Server{Addr: l.Addr().String()}), Intake())
	none, _ := newGroup(t, Settings{})
	none.Add("api", HTTP(nil, nil))
	if err := none.Open(t.Context()); err == nil || !strings.Contains(err.Error(), "is nil") {
		t.Errorf("without a server: %v", err)
	}
	if err := g.Open(t.Context()); err == nil || !strings.Contains(err.Error(), "another Addr") || !strings.Contains(err.Error(), l.Addr().String()) {
		t.Errorf("error %v", err)
	}
}

func TestRequestsUnderWayEndBeforeTheStop(t *testing.T) {
	entered, leave := make(chan struct{}), make(chan struct{})
	g, _, url := serve(t, Settings{}, &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(entered)
		<-leave
		io.WriteString(w, "done")
	})})
	answer := make(chan string, 1)
	go func() {
		body, _, err := get(client(t, nil), url)
		answer <- body + errorText(err)
	}()
	<-entered
	stopped := make(chan error, 1)
	go func() { in, sup := stop(g, time.Minute); stopped <- errors.Join(in, sup) }()
	time.Sleep(50 * time.Millisecond) // real connections: that nothing comes has no sign
	select {
	case err := <-stopped:
		t.Fatalf("the stop did not wait: %v", err)
	default:
	}
	close(leave)
	if got := <-answer; got != "done" {
		t.Errorf("answer %q", got)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	if _, _, err := get(client(t, nil), url); err == nil {
		t.Error("the server takes requests after its stop")
	}
}

func errorText(err error) string {
	if err != nil {
		return err.Error()
	}
	return ""
}

// Until the stop delay is over requests are served, and each answer closes its
// connection.
func TestInTheStopDelayEachAnswerClosesItsConnection(t *testing.T) {
	g, _, url := serve(t, Settings{StopDelay: time.Minute}, &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "ok") })})
	c := client(t, nil)
	if _, closes, err := get(c, url); err != nil || closes {
		t.Fatalf("before the stop: closes %v, %v", closes, err)
	}
	end := inTheDelay(t, g)
	for range 3 {
		if body, closes, err := get(c, url); body != "ok" || !closes || err != nil {
			t.Errorf("in the delay: %q, closes %v, %v", body, closes, err)
		}
	}
	end()
}

// inTheDelay begins a stop, and returns in its delay. The function that it returns
// ends the delay, and waits until the rest of the stop is over.
func inTheDelay(t *testing.T, g *Group) (end func()) {
	t.Helper()
	ctx, cut := context.WithCancel(t.Context())
	stopped := make(chan error, 1)
	go func() {
		g.Drain(ctx)
		rest, most := context.WithTimeout(context.Background(), time.Minute)
		defer most()
		in := g.StopIntake(rest)
		_ = g.StopSupport(rest)
		stopped <- in
	}()
	<-g.draining.Done()
	return func() {
		t.Helper()
		cut()
		if err := <-stopped; err != nil {
			t.Error(err)
		}
	}
}

// A client of HTTP/2 has one connection for all of its requests: without a GOAWAY it kept to
// the process that stops for all of the delay.
func TestInTheStopDelayClientsOfHTTP2Leave(t *testing.T) {
	server, change := withTLS(&http.Server{Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			_, _ = io.Copy(io.Discard, r.Body)
		}
	})})
	g, _, url := serve(t, Settings{StopDelay: time.Minute}, server)
	var dials atomic.Int32
	conns := make(chan *closeNoted, 10)
	c := client(t, func(tr *http.Transport) {
		change(tr)
		tr.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
			dials.Add(1)
			conn, err := new(net.Dialer).DialContext(ctx, network, addr)
			if err != nil {
				return nil, err
			}
			noted := &closeNoted{Conn: conn, closed: make(chan struct{})}
			conns <- noted
			return noted, nil
		}
	})
	ask := func() {
		t.Helper()
		var body io.Reader = strings.NewReader(strings.Repeat("x", 1<<20))
		res, err := c.Post(url, "text/plain", io.MultiReader(body)) // one that cannot be sent again
		if err != nil {
			t.Fatal(err)
		}
		if res.ProtoMajor != 2 || res.StatusCode != http.StatusOK {
			t.Errorf("%s %s", res.Proto, res.Status)
		}
		_, _ = io.Copy(io.Discard, res.Body)
		res.Body.Close()
	}
	ask()
	ask()
	if n := dials.Load(); n != 1 {
		t.Fatalf("%d connections before the stop", n)
	}
	end := inTheDelay(t, g)
	for range 3 {
		ask()
		<-(<-conns).closed // the GOAWAY has come
	}
	if n := dials.Load(); n != 3 { // the first answer of the delay was the last on its connection
		t.Errorf("%d connections, want 3", n)
	}
	end()
}

// closeNoted is a connection whose end at the client is seen.
type closeNoted struct {
	net.Conn
	closed chan struct{}
	once   sync.Once
}

func (c *closeNoted) Close() error {
	c.once.Do(func() { close(c.closed) })
	return c.Conn.Close()
}

// As of golang/go#41344: Shutdown waits for a stream of events without end.
func TestAnEventSourceDoesNotHoldTheStop(t *testing.T) {
	cause := make(chan error, 1)
	g, _, url := serve(t, Settings{}, &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		io.WriteString(w, "data: hello\n\n")
		http.NewResponseController(w).Flush()
		<-r.Context().Done()
		cause <- context.Cause(r.Context())
	})})
	req, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", "text/event-stream")
	res, err := client(t, nil).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if _, err := bufio.NewReader(res.Body).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	if in, _ := stop(g, time.Minute); in != nil {
		t.Error(in)
	}
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("the stop took %v", took)
	}
	if err := <-cause; !errors.Is(err, ErrStopping) {
		t.Errorf("the cause of its end is %v", err)
	}
}

// A request that does not end has its time, then its ctx ends, and the error names it.
func TestAStuckRequestIsCutAndNamed(t *testing.T) {
	t.Parallel() // it waits in real time
	for name, c := range map[string]struct {
		obeys bool
		want  string
	}{
		"that obeys its ctx":   {true, "had to be cancelled"},
		"that ignores its ctx": {false, "still 1 request: GET /slow"},
	} {
		t.Run(name, func(t *testing.T) {
			entered, leave := make(chan struct{}), make(chan struct{})
			g, p, url := serve(t, Settings{ServerTimeout: 200 * time.Millisecond}, &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				close(entered)
				if c.obeys {
					<-r.Context().Done()
				} else {
					<-leave
				}
			})})
			answered := make(chan error, 1)
			go func() { _, _, err := get(client(t, nil), url+"/slow?token=secret"); answered <- err }()
			<-entered
			begun := time.Now()
			in, _ := stop(g, time.Minute)
			if took := time.Since(begun); took > 4*time.Second || took < 200*time.Millisecond {
				t.Errorf("the stop took %v", took)
			}
			if in == nil || !strings.Contains(in.Error(), "GET /slow") || !strings.Contains(in.Error(), c.want) || strings.Contains(in.Error(), "secret") {
				t.Errorf("error %v", in)
			}
			<-answered
			if n := p.requests.count(); (n == 0) != c.obeys {
				t.Errorf("%d requests are under way", n)
			}
			close(leave)
			for p.requests.count() > 0 {
				time.Sleep(time.Millisecond) // net/http ends the handlers in its own time
			}
		})
	}
}

// Shutdown neither waits for a connection that a handler has taken over, nor closes it.
func TestATakenOverConnectionIsWaitedForAndClosed(t *testing.T) {
	t.Parallel() // it waits in real time
	for _, obeys := range []bool{true, false} {
		taken := make(chan net.Conn, 1)
		g, p, url := serve(t, Settings{ServerTimeout: 300 * time.Millisecond}, &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			if obeys {
				go func() { <-Stopping(r.Context()); conn.Close() }()
			}
			taken <- conn
		})})
		conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(conn, "GET /chat HTTP/1.1\r\nHost: a\r\nUpgrade: chat\r\nConnection: upgrade\r\n\r\n")
		<-taken
		if n := p.conns.hijackedOpen(); n != 1 {
			t.Errorf("%d connections are known as taken over", n)
		}
		in, _ := stop(g, time.Minute)
		if obeys && in != nil || !obeys && (in == nil || !strings.Contains(in.Error(), "1 connection that a handler has taken over")) {
			t.Errorf("obeys %v: error %v", obeys, in)
		}
		_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
		if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Errorf("obeys %v: the connection is open: %v", obeys, err)
		}
		conn.Close()
	}
}

// A thousand of them that were closed are not kept.
func TestClosedConnectionsAreForgotten(t *testing.T) {
	_, p, url := serve(t, Settings{}, &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err == nil {
			conn.Close()
		}
	})})
	for range 200 {
		_, _, _ = get(client(t, nil), url)
	}
	p.conns.mu.Lock()
	n := len(p.conns.hijacked)
	p.conns.mu.Unlock()
	if n > minSweep {
		t.Errorf("%d connections are kept", n)
	}
	if err := p.Stop(t.Context()); err != nil {
		t.Error(err)
	}
}

// net/http waits five seconds for a connection that has sent nothing yet.
func TestAConnectionWithoutARequestIsSoonClosed(t *testing.T) {
	t.Parallel() // it waits in real time
	g, _, url := serve(t, Settings{}, &http.Server{})
	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	begun := time.Now()
	if in, _ := stop(g, time.Minute); in != nil {
		t.Error(in)
	}
	if took := time.Since(begun); took > 3*time.Second {
		t.Errorf("the stop took %v", took)
	}
}

func TestAServerThatEndsByItselfIsAnError(t *testing.T) {
	server := &http.Server{}
	g, p, _ := serve(t, Settings{}, server)
	if err := server.Close(); err != nil {
		t.Fatal(err)
	}
	<-p.served
	if err := g.Err(); err == nil || !strings.Contains(err.Error(), "shut down by other code") {
		t.Errorf("error %v", err)
	}
	stop(g, time.Second)

	g, p, _ = serve(t, Settings{}, &http.Server{})
	p.listener.Close()
	<-p.served
	if err := g.Err(); err == nil || !strings.Contains(err.Error(), "serve on 127.0.0.1") {
		t.Errorf("error %v", err)
	}
	stop(g, time.Second)
}

// withTLS gives a server certificates, and returns what a client needs to speak HTTP/2 with it.
func withTLS(server *http.Server) (*http.Server, func(*http.Transport)) {
	ts := httptest.NewTLSServer(nil)
	defer ts.Close()
	server.TLSConfig = &tls.Config{Certificates: ts.TLS.Certificates}
	pool := ts.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	return server, func(tr *http.Transport) {
		tr.TLSClientConfig, tr.ForceAttemptHTTP2 = &tls.Config{RootCAs: pool, ServerName: "example.com"}, true
	}
}

func TestAServerSpeaksTLSAndHTTP2(t *testing.T) {
	t.Parallel() // it waits in real time
	server, change := withTLS(&http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.Proto) })})
	g, _, url := serve(t, Settings{}, server)
	c := client(t, change)
	if body, _, err := get(c, url); body != "HTTP/2.0" || err != nil || !strings.HasPrefix(url, "https://") {
		t.Errorf("%s: %q, %v", url, body, err)
	}
	if in, _ := stop(g, time.Minute); in != nil {
		t.Error(in)
	}
}

func TestAUnixSocketOfADeadProcessIsReplaced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "api.sock")
	stale, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	inUse, _ := newGroup(t, Settings{})
	inUse.Add("api", HTTP(nil, &http.Server{Addr: "unix:" + path}), Intake())
	if err := inUse.Open(t.Context()); err == nil {
		t.Error("the socket of a process that listens was taken")
	}
	stale.SetUnlinkOnClose(false)
	stale.Close()
	g, _, _ := serve(t, Settings{}, &http.Server{Addr: "unix:" + path, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "ok") })})
	c := client(t, func(tr *http.Transport) {
		tr.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", path)
		}
	})
	if body, _, err := get(c, "http://api/"); body != "ok" || err != nil {
		t.Errorf("%q, %v", body, err)
	}
	if in, _ := stop(g, time.Minute); in != nil {
		t.Error(in)
	}
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("the socket's file stays: %v", err)
	}
	notASocket := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(notASocket, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	file, _ := newGroup(t, Settings{})
	file.Add("api", HTTP(nil, &http.Server{Addr: "unix:" + notASocket}), Intake())
	if err := file.Open(t.Context()); err == nil {
		t.Error("a file was taken for a socket")
	}
	if text, _ := os.ReadFile(notASocket); string(text) != "precious" {
		t.Error("a file that is no socket was removed")
	}
}

// What the service has set on its server stays in force.
func TestTheServersOwnHooksAreCalled(t *testing.T) {
	type key struct{}
	var states atomic.Int64
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, r.Context().Value(key{}).(string))
		}),
		BaseContext: func(net.Listener) context.Context { return context.WithValue(t.Context(), key{}, "theirs") },
		ConnState:   func(net.Conn, http.ConnState) { states.Add(1) },
		ReadTimeout: 7 * time.Second,
	}
	g, _ := newGroup(t, Settings{})
	p := HTTP(l, server)
	g.Add(p.Name(), p, Intake())
	start(t, g)
	if body, _, err := get(client(t, nil), "http://"+l.Addr().String()); body != "theirs" || err != nil || states.Load() == 0 {
		t.Errorf("%q, %v, %d states", body, err, states.Load())
	}
	if server.ReadHeaderTimeout != 0 || server.IdleTimeout != 0 || p.Name() != "http "+l.Addr().String() {
		t.Errorf("%v %v %s", server.ReadHeaderTimeout, server.IdleTimeout, p.Name())
	}
	stop(g, time.Minute)
}

func BenchmarkARequestThroughThePart(b *testing.B) {
	s := HTTP(nil, &http.Server{})
	s.handler = http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	s.host = &Host{Draining: context.Background()}
	w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil)
	b.ReportAllocs()
	for b.Loop() {
		s.serve(w, r)
	}
}

// A service that has started did not say where.
func TestAServerSaysWhereItServes(t *testing.T) {
	var log bytes.Buffer
	g := NewGroup(Config{Logger: func(name string) *slog.Logger {
		return slog.New(slog.NewTextHandler(&log, nil)).With("logger", name)
	}, Settings: func() Settings { return Settings{} }, Fail: func() {}})
	p := HTTP(nil, &http.Server{Addr: "127.0.0.1:0"})
	g.Add("api", p, Intake())
	start(t, g)
	stop(g, time.Minute)
	if want := `level=INFO msg=serving logger=parts/api on="` + p.Detail() + `"`; !strings.Contains(log.String(), want) {
		t.Errorf("the log has\n%s, want %s", &log, want)
	}
}
