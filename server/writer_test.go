package server

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Handlers see what net/http's own writer can do, in HTTP/1.1 and HTTP/2; a wrapper
// that hid it broke websockets, events and sendfile.
func TestTheWriterCanDoWhatNetHTTPCan(t *testing.T) {
	log := newLines(t)
	for name, version := range map[string]int{"HTTP/1.1": 1, "HTTP/2": 2} {
		var flush, hijack, push, readFrom, writeString bool
		var deadline error
		srv := httptest.NewUnstartedServer(Middleware(log)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.ProtoMajor != version {
				t.Errorf("%s: asked by %s", name, r.Proto)
			}
			_, flush = w.(http.Flusher)
			_, hijack = w.(http.Hijacker)
			_, push = w.(http.Pusher)
			_, readFrom = w.(io.ReaderFrom)
			_, writeString = w.(io.StringWriter)
			deadline = http.NewResponseController(w).SetReadDeadline(time.Now().Add(time.Minute))
			_, _ = io.WriteString(w, "part")
			if err := http.NewResponseController(w).Flush(); err != nil {
				t.Errorf("%s: flush: %v", name, err)
			}
		})))
		srv.EnableHTTP2 = version == 2
		srv.StartTLS()
		res, err := srv.Client().Get(srv.URL)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(res.Body)
		res.Body.Close()
		srv.Close()
		if string(body) != "part" || !flush || !readFrom || !writeString || deadline != nil {
			t.Errorf("%s: %q flush %v readFrom %v writeString %v deadline %v", name, body, flush, readFrom, writeString, deadline)
		}
		if hijack != (version == 1) || push != (version == 2) {
			t.Errorf("%s: hijack %v, push %v", name, hijack, push)
		}
		if line := log.last(t); line["status"] != 200.0 || line["bytes"] != 4.0 {
			t.Errorf("%s: %v", name, line)
		}
	}
}

// plainWriter is a writer with no more than the interface.
type plainWriter struct{ http.ResponseWriter }

type hijackWriter struct {
	http.ResponseWriter
	http.Hijacker
}

// What the writer below cannot do, a handler is not offered.
func TestTheWriterOffersNoMore(t *testing.T) {
	rec := httptest.NewRecorder()
	for name, c := range map[string]struct {
		below         http.ResponseWriter
		flush, hijack bool
	}{
		"plain":    {plainWriter{rec}, false, false},
		"recorder": {rec, true, false},
		"hijacker": {hijackWriter{rec, nil}, false, true},
	} {
		w := (&writer{below: c.below}).front()
		_, flush := w.(http.Flusher)
		_, hijack := w.(http.Hijacker)
		if flush != c.flush || hijack != c.hijack {
			t.Errorf("%s: flush %v hijack %v", name, flush, hijack)
		}
	}
	w := &writer{below: plainWriter{rec}}
	if n, err := w.ReadFrom(strings.NewReader("abc")); n != 3 || err != nil || w.bytes != 3 || w.status != 200 {
		t.Errorf("ReadFrom over a plain writer: %d %v", n, err)
	}
	if n := testing.AllocsPerRun(100, func() { _ = w.front() }); n != 0 {
		t.Errorf("front: %v allocations", n)
	}
}

// A connection that is taken over works, and its line says 101.
func TestHijack(t *testing.T) {
	log := newLines(t)
	ended := make(chan struct{})
	h := Middleware(log, WithShedding(Limits{Max: 1, Queue: -1}))(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/ws" {
			return
		}
		conn, rw, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		fmt.Fprint(rw, "HTTP/1.1 101 Switching Protocols\r\n\r\n")
		_ = rw.Flush()
		line, _ := rw.ReadString('\n')
		fmt.Fprint(rw, "echo "+line)
		_ = rw.Flush()
	}))
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(w, r)
		if r.URL.Path == "/ws" {
			close(ended)
		}
	}))
	defer srv.Close()
	conn, err := net.Dial("tcp", srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "GET /ws HTTP/1.1\r\nHost: a\r\n\r\n")
	r := bufio.NewReader(conn)
	for line := ""; line != "\r\n"; {
		if line, err = r.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
	}
	// The connection holds no place of the limit.
	if res, err := http.Get(srv.URL + "/other"); err != nil || res.StatusCode != 200 {
		t.Errorf("with a websocket: %v %v", res, err)
	} else {
		res.Body.Close()
	}
	fmt.Fprint(conn, "hello\n")
	if line, _ := r.ReadString('\n'); line != "echo hello\n" {
		t.Errorf("%q", line)
	}
	<-ended // Close does not wait for a connection that was taken over
	if line := log.last(t); line["status"] != 101.0 || line["aborted"] != nil {
		t.Errorf("%v", line)
	}
}

// A file goes out whole and is counted, also through sendfile.
func TestFiles(t *testing.T) {
	log := newLines(t)
	name := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(name, make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	for method, want := range map[string]float64{"GET": 1 << 20, "HEAD": 0} {
		srv := httptest.NewServer(Middleware(log)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, name) })))
		req, _ := http.NewRequest(method, srv.URL, nil)
		res, err := srv.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		n, _ := io.Copy(io.Discard, res.Body)
		res.Body.Close()
		srv.Close() // and so its handler has ended
		if float64(n) != want || log.last(t)["bytes"] != want {
			t.Errorf("%s: %d bytes, %v", method, n, log.last(t))
		}
	}
}

// Early hints are not the status, and of two final headers the first counts.
func TestStatuses(t *testing.T) {
	log := newLines(t)
	h := Middleware(log)(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusEarlyHints)
		w.WriteHeader(http.StatusCreated)
	}))
	srv := httptest.NewServer(h)
	res, err := http.Get(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	srv.Close()
	if res.StatusCode != 201 || log.last(t)["status"] != 201.0 {
		t.Errorf("%d, %v", res.StatusCode, log.last(t))
	}
}

// The files of a form were left behind on the disk: net/http removes those of the
// request that it has made, and middleware makes a copy.
func TestFilesOfAFormAreRemoved(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	srv := httptest.NewServer(RequestIDs()(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if err := r.ParseMultipartForm(1); err != nil {
			t.Error(err)
		}
		if left, _ := os.ReadDir(os.TempDir()); len(left) != 1 {
			t.Errorf("%d files of the form: this test no longer sees what it is for", len(left))
		}
	})))
	body := "--b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"f\"\r\n\r\n" + strings.Repeat("x", 32<<20) + "\r\n--b--\r\n"
	res, err := http.Post(srv.URL, "multipart/form-data; boundary=b", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	srv.Close()
	if left, _ := os.ReadDir(os.TempDir()); len(left) != 0 {
		t.Errorf("%d files are left", len(left))
	}
}
