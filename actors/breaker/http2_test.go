package breaker_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sambatech/chassis/actors/breaker"
)

// Bodies of requests.
func letter() io.Reader { return strings.NewReader("letter") }
func unread() io.Reader { return io.MultiReader(letter()) } // cannot be read again
func slow() io.Reader   { return steady(3, time.Second) }

// TestWhatAnHTTP2ServerDoes: what counts of the ways in which a server ends a stream or a connection.
func TestWhatAnHTTP2ServerDoes(t *testing.T) {
	first := func(do func(c *h2conn, stream uint32)) func(c *h2conn, stream uint32) { // and then all is well
		n := 0
		return func(c *h2conn, stream uint32) {
			if n++; n == 1 {
				do(c, stream)
				return
			}
			c.answer(stream)
		}
	}
	goAway := func(last int, code uint32) func(c *h2conn, stream uint32) {
		return func(c *h2conn, stream uint32) { c.goAway(uint32(int(stream)+last), code) }
	}
	for name, c := range map[string]struct {
		script   func(c *h2conn, stream uint32)
		body     func() io.Reader
		failures int
		requests int           // that the server saw; 0: any
		err      error         // nil: none
		most     time.Duration // of the call
	}{
		"goes away, before the request":              {script: first(goAway(-1, codeNo)), requests: 2},
		"goes away, before a request with a body":    {script: first(goAway(-1, codeNo)), body: letter, requests: 2},
		"goes away, before a body that is read once": {script: first(goAway(-1, codeNo)), body: unread, err: errAny, requests: 1},
		"goes away, and answers": {script: func(c *h2conn, stream uint32) {
			c.goAway(stream, codeNo)
			c.answer(stream)
		}, requests: 1},
		"goes away in the middle, and closes": {script: first(func(c *h2conn, stream uint32) {
			c.frame(frameHeaders, flagEndHeaders, stream, status200...)
			c.frame(frameData, 0, stream, 's')
			c.goAway(stream, codeNo)
			_ = c.Close()
		}), failures: 1, err: errAny},
		"is too busy":                 {script: first(goAway(-1, codeEnhanceCalm)), failures: 1, err: errAny},
		"refuses the stream":          {script: first(func(c *h2conn, stream uint32) { c.reset(stream, codeRefused) }), requests: 2},
		"refuses every stream":        {script: func(c *h2conn, stream uint32) { c.reset(stream, codeRefused) }, failures: 1, err: errAny, most: 6 * time.Second},
		"resets by an internal error": {script: first(func(c *h2conn, stream uint32) { c.reset(stream, codeInternal) }), failures: 1, err: errAny},
		"cancels":                     {script: first(func(c *h2conn, stream uint32) { c.reset(stream, codeCancel) }), failures: 1, err: errAny},
		"resets in the body": {script: first(func(c *h2conn, stream uint32) {
			c.frame(frameHeaders, flagEndHeaders, stream, status200...)
			c.frame(frameData, 0, stream, 's')
			c.reset(stream, codeInternal)
		}), failures: 1, err: errAny},
		"answers, and wants no more of the body": {script: func(c *h2conn, stream uint32) {
			c.answer(stream)
			c.reset(stream, codeNo)
		}, body: slow, requests: 1},
		"stalls in the body": {script: func(c *h2conn, stream uint32) {
			c.frame(frameHeaders, flagEndHeaders, stream, status200...)
			c.frame(frameData, 0, stream, 's')
		}, failures: 1, err: breaker.ErrTimeout, most: 6 * time.Second},
		"closes its half of the request's stream alone": {script: func(c *h2conn, stream uint32) {
			c.frame(frameHeaders, flagEndHeaders|flagEndStream, stream, status200...)
		}, body: unread, requests: 1},
		"sends trailers": {script: func(c *h2conn, stream uint32) {
			c.frame(frameHeaders, flagEndHeaders, stream, status200...)
			c.frame(frameData, 0, stream, 's')
			c.frame(frameHeaders, flagEndHeaders|flagEndStream, stream, trailer...)
		}, requests: 1},
		"sends early hints without end": {script: func(c *h2conn, stream uint32) {
			go func() {
				for range 200 {
					c.frame(frameHeaders, flagEndHeaders, stream, status103...)
					time.Sleep(100 * time.Millisecond)
				}
			}()
		}, failures: 1, err: breaker.ErrTimeout, most: 6 * time.Second},
		"sends pings alone": {script: func(c *h2conn, _ uint32) {
			go func() {
				for range 200 {
					c.frame(framePing, 0, 0, make([]byte, 8)...)
					time.Sleep(100 * time.Millisecond)
				}
			}()
		}, failures: 1, err: breaker.ErrTimeout, most: 6 * time.Second},
		"sends garbage": {script: first(func(c *h2conn, stream uint32) { c.frame(frameData, 0, stream+2, 'x') }), failures: 1, err: errAny},
		"closes":        {script: first(func(c *h2conn, _ uint32) { _ = c.Close() }), failures: 1, err: errAny},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, base := serveFrames(t, c.script)
				b, client := newMail(t, base, breaker.Settings{})
				begun := time.Now()
				method, body := http.MethodGet, io.Reader(nil)
				if c.body != nil {
					method, body = http.MethodPost, c.body()
				}
				req, err := http.NewRequest(method, mailService+"/v1", body)
				if err != nil {
					t.Fatal(err)
				}
				res, err := client.Do(req)
				if err == nil {
					_, err = io.ReadAll(res.Body)
					_ = res.Body.Close()
				}
				if (err == nil) != (c.err == nil) || c.err != errAny && !errors.Is(err, c.err) {
					t.Errorf("the call ends with %v, want %v", err, c.err)
				}
				if n := failures(b); n != c.failures {
					t.Errorf("%d failures, want %d (%v)", n, c.failures, err)
				}
				if n := int(s.requests.Load()); c.requests != 0 && n != c.requests {
					t.Errorf("%d requests, want %d", n, c.requests)
				}
				if took := time.Since(begun); c.most > 0 && took > c.most {
					t.Errorf("it took %v", took)
				}
			})
		})
	}
}

var errAny = errors.New("any error")
