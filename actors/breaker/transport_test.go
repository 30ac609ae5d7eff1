package breaker_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/sambatech/chassis/actors/breaker"
)

// serve starts a loopback server and a breaker for it.
func serve(t *testing.T, http2 bool, s breaker.Settings, h http.HandlerFunc, opts ...breaker.Option) (*breaker.Breaker, *http.Client, string) {
	t.Helper()
	server := httptest.NewUnstartedServer(h)
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.EnableHTTP2 = http2
	server.StartTLS()
	t.Cleanup(server.Close)
	b, err := breaker.Spawn(newSystem(t), server.URL, s, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Stop(context.Background()) })
	base := server.Client().Transport.(*http.Transport)
	client := &http.Client{Transport: b.Transport(base)}
	t.Cleanup(client.CloseIdleConnections)
	return b, client, server.URL
}

// failures returns the failures counted for the service.
func failures(b *breaker.Breaker) int { return b.Snapshot().Entries[0].Failures }

func TestBrokenBodiesAreFailures(t *testing.T) {
	const rounds = 20
	part := []byte(strings.Repeat("x", 4096))
	broken := map[string]http.HandlerFunc{
		"truncated": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", fmt.Sprint(2*len(part)))
			_, _ = w.Write(part)
		},
		"reset": func(w http.ResponseWriter, r *http.Request) {
			_, _ = w.Write(part)
			w.(http.Flusher).Flush()
			if hj, ok := w.(http.Hijacker); ok {
				conn, _, err := hj.Hijack()
				if err != nil {
					t.Error(err)
					return
				}
				if tcp, ok := conn.(interface{ NetConn() net.Conn }).NetConn().(*net.TCPConn); ok {
					_ = tcp.SetLinger(0)
				}
				_ = conn.Close()
				return
			}
			panic(http.ErrAbortHandler) // RST_STREAM
		},
		"stalled": func(w http.ResponseWriter, r *http.Request) {
			_, _ = w.Write(part)
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		},
		"no headers": func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"503":        func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(503) },
		"429":        func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(429) },
	}
	for name, handler := range broken {
		for _, http2 := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/http2=%v", name, http2), func(t *testing.T) {
				slow := name == "stalled" || name == "no headers"
				s := breaker.Settings{ClosedFailLimit: 1000}
				if slow {
					s.RequestTimeout = 50 * time.Millisecond
				}
				b, client, url := serve(t, http2, s, handler)
				for i := range rounds {
					res, err := client.Get(url + "/a/b")
					if err == nil {
						if want := map[bool]int{true: 2, false: 1}[http2]; res.ProtoMajor != want {
							t.Fatalf("HTTP/%d, want %d", res.ProtoMajor, want)
						}
						_, err = io.Copy(io.Discard, res.Body)
						_ = res.Body.Close()
					}
					if slow != errors.Is(err, breaker.ErrTimeout) {
						t.Fatalf("round %d: %v", i, err)
					}
				}
				if got := failures(b); got != rounds {
					t.Errorf("%d of %d counted", got, rounds)
				}
			})
		}
	}
}
