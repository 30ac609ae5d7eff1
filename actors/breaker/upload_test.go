package breaker_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sambatech/chassis/actors/breaker"
)

// steady is an upload of n pieces, one every gap.
func steady(n int, gap time.Duration) io.Reader {
	r, w := io.Pipe()
	go func() {
		for range n {
			time.Sleep(gap)
			if _, err := w.Write(make([]byte, 1000)); err != nil {
				return
			}
		}
		_ = w.Close()
	}()
	return r
}

// TestASteadyUploadIsNotCut: the wait for the headers begins when the request
// is written, and each piece of its body shows that the service takes it. So it
// is for a probe, which gives its slot back meanwhile.
func TestASteadyUploadIsNotCut(t *testing.T) {
	forHTTP(t, func(t *testing.T, http2 bool) {
		for _, c := range []struct {
			name   string
			pieces int
			gap    time.Duration
			half   bool
		}{
			{"a piece every 400 ms", 20, 400 * time.Millisecond, false},
			{"a piece every 8 s", 3, 8 * time.Second, false}, // the caller's own time
			{"as a probe", 20, 400 * time.Millisecond, true},
		} {
			t.Run(c.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					base := serveInMemory(t, http2, func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) })
					b, client := newMail(t, base, breaker.Settings{ClosedFailLimit: 2, HalfSuccessLimit: 2})
					if c.half {
						_ = b.Do(t.Context(), "", fail)
						halfOpen(t, b)
						time.AfterFunc(7*time.Second, func() {
							if err := call(client, "/other", nil); err != nil {
								t.Errorf("the slot is still held: %v", err)
							}
						})
					}
					res, err := client.Post(mailService+"/files", "application/octet-stream", steady(c.pieces, c.gap))
					if err != nil {
						t.Fatalf("the upload ended with %v", err)
					}
					_ = res.Body.Close()
					if n := failures(b); n != 0 || b.State() == breaker.Open {
						t.Errorf("%d failures of the service, %v", n, b.State())
					}
				})
			})
		}
	})
}

// TestAnUploadThatTheServiceDoesNotTakeIsGivenUp, though it takes the beginning.
func TestAnUploadThatTheServiceDoesNotTakeIsGivenUp(t *testing.T) {
	forHTTP(t, func(t *testing.T, http2 bool) {
		synctest.Test(t, func(t *testing.T) {
			base := serveInMemory(t, http2, func(_ http.ResponseWriter, r *http.Request) {
				_, _ = io.ReadFull(r.Body, make([]byte, 1000))
				time.Sleep(30 * time.Second)
			})
			b, client := newMail(t, base, breaker.Settings{})
			begun := time.Now()
			_, err := client.Post(mailService+"/files", "application/octet-stream", bytes.NewReader(make([]byte, 64<<20)))
			if !errors.Is(err, breaker.ErrTimeout) || failures(b) != 1 {
				t.Errorf("%v, %d failures", err, failures(b))
			}
			if took := time.Since(begun); took < 5*time.Second || took > 6*time.Second {
				t.Errorf("given up after %v", took)
			}
		})
	})
}

// TestTheWaitForTheHeadersBeginsWhenTheRequestIsWritten: connecting took its time.
func TestTheWaitForTheHeadersBeginsWhenTheRequestIsWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		base := serveInMemory(t, false, func(http.ResponseWriter, *http.Request) { time.Sleep(3 * time.Second) })
		dial := base.DialContext
		base.DialContext = func(ctx context.Context, network, addr string) (conn net.Conn, err error) {
			time.Sleep(4 * time.Second)
			return dial(ctx, network, addr)
		}
		b, client := newMail(t, base, breaker.Settings{})
		if err := call(client, "/v1", nil); err != nil || failures(b) != 0 {
			t.Errorf("%v, %d failures", err, failures(b))
		}
	})
}

// torn is a request body that fails.
type torn struct{ n int }

var errTorn = errors.New("the caller's file is gone")

func (r *torn) Read(p []byte) (int, error) {
	if r.n--; r.n < 0 {
		return 0, errTorn
	}
	return copy(p, "x"), nil
}

// TestTheCallersOwnBodyThatFailsIsNeutral, and one that is shorter or longer
// than the request says.
func TestTheCallersOwnBodyThatFailsIsNeutral(t *testing.T) {
	forHTTP(t, func(t *testing.T, http2 bool) {
		for name, body := range map[string]struct {
			r    func() io.Reader
			size int64
		}{
			"fails at once":        {func() io.Reader { return &torn{} }, -1},
			"fails on the way":     {func() io.Reader { return &torn{n: 10} }, -1},
			"shorter than it says": {func() io.Reader { return bytes.NewReader(make([]byte, 1000)) }, 2000},
			"longer than it says":  {func() io.Reader { return bytes.NewReader(make([]byte, 3000)) }, 1500},
		} {
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					base := serveInMemory(t, http2, func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) })
					b, client := newMail(t, base, breaker.Settings{})
					_ = b.Do(t.Context(), "", fail) // a success would clear it
					req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, mailService+"/files", io.NopCloser(body.r()))
					if err != nil {
						t.Fatal(err)
					}
					req.ContentLength = body.size
					want := 1
					if res, err := client.Do(req); err == nil {
						_ = res.Body.Close()
						want = 0 // the service has answered all the same
					}
					if n := failures(b); n != want {
						t.Errorf("%d failures, want %d", n, want)
					}
				})
			})
		}
	})
}

// TestAnUploadThatTheServiceBreaksOffIsAFailure, though the caller's body fails
// in consequence.
func TestAnUploadThatTheServiceBreaksOffIsAFailure(t *testing.T) {
	forHTTP(t, func(t *testing.T, http2 bool) {
		synctest.Test(t, func(t *testing.T) {
			base := serveInMemory(t, http2, func(_ http.ResponseWriter, r *http.Request) {
				_, _ = io.ReadFull(r.Body, make([]byte, 1000))
				panic(http.ErrAbortHandler)
			})
			b, client := newMail(t, base, breaker.Settings{})
			if res, err := client.Post(mailService+"/files", "application/octet-stream", steady(20, time.Second)); err == nil {
				_ = res.Body.Close()
				t.Error("no error")
			}
			if n := failures(b); n != 1 {
				t.Errorf("%d failures", n)
			}
		})
	})
}
