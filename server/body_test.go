package server

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// A client that has sent too much and then nothing waited for its 413, and held its place,
// until net/http had read 256 KiB more or the connection was given up.
func TestTooLargeABodyIsAnsweredAtOnce(t *testing.T) {
	log := newLines(t)
	srv := httptest.NewServer(Middleware(log)(muxOf(map[string]http.HandlerFunc{
		"POST /json": HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
			var into any
			return ReadJSON(w, r, 16, &into)
		}).ServeHTTP,
		"POST /file": func(w http.ResponseWriter, r *http.Request) {
			LimitBody(w, r, 16)
			_, err := io.Copy(io.Discard, r.Body)
			if large := new(http.MaxBytesError); errors.As(err, &large) {
				http.Error(w, "too large", http.StatusRequestEntityTooLarge)
			}
		},
	})))
	defer srv.Close()
	for _, path := range []string{"/json", "/file"} {
		conn, err := net.Dial("tcp", srv.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"+
			"20\r\n[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1\r\n", path)
		_ = conn.SetReadDeadline(time.Now().Add(5 * time.Second))
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		if res.StatusCode != http.StatusRequestEntityTooLarge || !res.Close {
			t.Errorf("%s: %d, the connection is closed: %v", path, res.StatusCode, res.Close)
		}
	}
}
