package chassistest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"time"
)

// Upstream is a service that handlers call, in memory. It is an http.RoundTripper: give
// it to the http.Client of a handler, or below a breaker. The ctx of a request must be the
// handler's. Each call that the service answers is an effect of the service's name, with
// method, path and body. Its faults are [CallSlow], [CallFails], [CallHangs] and
// [CallPart], and the deaths of the processes that call it.
type Upstream struct {
	w       *World
	name    string
	handler http.Handler
}

// call is one call of an upstream.
type call struct {
	strike []*Fault
}

// Upstream makes a service that answers as handler does; without one it answers 200.
// handler is called for one request at a time, and must not wait.
func (w *World) Upstream(service string, handler http.Handler) *Upstream {
	if handler == nil {
		handler = http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	}
	u := &Upstream{w: w, name: service, handler: handler}
	w.upstreams[service] = u
	return u
}

// RoundTrip implements http.RoundTripper.
func (u *Upstream) RoundTrip(r *http.Request) (*http.Response, error) {
	run := runOf(r.Context())
	if run == nil {
		return nil, fmt.Errorf("chassistest: a call of %s: the ctx of the request is not a handler's", u.name)
	}
	var body []byte
	if r.Body != nil {
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
		_ = r.Body.Close()
	}
	c := &call{}
	a := &arrival{p: run.p, step: OnCall, run: run, name: u.name, note: r.Method + " " + r.URL.Path, call: c}
	a.effect = &Effect{Name: u.name, Args: []any{r.Method, r.URL.Path, string(body)},
		Step: stepKey(r.Context(), run)}
	switch o, err := u.w.gate.wait(r.Context(), a); {
	case err != nil:
		return nil, err
	case o == dead:
		return nil, run.leave()
	}
	if u.w.struckBy(c.strike, CallFails) != nil {
		return u.response(r, http.StatusServiceUnavailable, []byte("the storm fails this call"), nil), nil
	}
	in := r.Clone(r.Context())
	in.Body, in.RequestURI = io.NopCloser(bytes.NewReader(body)), r.URL.RequestURI()
	rec := httptest.NewRecorder()
	u.handler.ServeHTTP(rec, in)
	if f := u.w.struckBy(c.strike, CallSlow); f != nil {
		timer := time.NewTimer(f.For)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	}
	switch {
	case u.w.struckBy(c.strike, CallHangs) != nil:
		<-r.Context().Done()
		return nil, r.Context().Err()
	case u.w.struckBy(c.strike, CallPart) != nil:
		half := rec.Body.Bytes()[:rec.Body.Len()/2]
		res := u.response(r, rec.Code, half, rec.Header())
		res.ContentLength = int64(rec.Body.Len())
		res.Body = io.NopCloser(io.MultiReader(bytes.NewReader(half), brokenBody{}))
		return res, nil
	}
	return u.response(r, rec.Code, rec.Body.Bytes(), rec.Header()), nil
}

func (u *Upstream) response(r *http.Request, code int, body []byte, header http.Header) *http.Response {
	if header == nil {
		header = http.Header{}
	}
	return &http.Response{Status: http.StatusText(code), StatusCode: code, Proto: "HTTP/1.1", ProtoMajor: 1,
		ProtoMinor: 1, Header: header, Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)), Request: r}
}

// brokenBody is where a body breaks off.
type brokenBody struct{}

func (brokenBody) Read([]byte) (int, error) {
	return 0, errors.Join(io.ErrUnexpectedEOF, errors.New("the storm breaks off this answer"))
}
