package localsqs

import (
	"context"
	"errors"
	"net/http"
)

// HTTPClient is an HTTP client that calls the server in process, whatever the
// host of the request: give it to sqs.Options.HTTPClient. A cancelled ctx ends
// a long poll; so does Close. Messages on their way to that poll stay invisible
// until their time-out, as with AWS.
func (s *Server) HTTPClient() *http.Client { return &http.Client{Transport: transport{s}} }

type transport struct{ server *Server }

// RoundTrip performs the request on the caller's goroutine.
func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.ContentLength == 0 && r.Body != nil && r.Body != http.NoBody { // the client does not know the length
		r2 := *r
		r2.ContentLength = -1
		r = &r2
	}
	body, failed := readBody(r)
	if r.Body != nil {
		_ = r.Body.Close() // nothing is left to read
	}
	if err := r.Context().Err(); err != nil {
		return nil, context.Cause(r.Context())
	}
	if r.Host == "" {
		r2 := *r
		r2.Host = r.URL.Host
		r = &r2
	}
	var c call
	query := isQuery(r)
	if failed == nil {
		failed = t.server.perform(&c, r, query, body, nil)
	}
	if err := r.Context().Err(); err != nil && failed != nil {
		return nil, context.Cause(r.Context())
	}
	if failed != nil && failed.Status == http.StatusServiceUnavailable {
		return nil, errors.Join(ErrClosed, failed)
	}
	p := newReply(query, c.op, newRequestID(), c.answer, failed)
	h := make(http.Header, 3)
	h["X-Amzn-Requestid"] = []string{p.requestID}
	h["Content-Type"] = jsonType
	if query {
		h["Content-Type"] = []string{p.contentType}
	}
	if p.code != "" {
		h["X-Amzn-Query-Error"] = []string{p.code}
	}
	return &http.Response{Status: http.StatusText(p.status), StatusCode: p.status, Proto: "HTTP/1.1", ProtoMajor: 1,
		ProtoMinor: 1,
		Header:     h, ContentLength: int64(len(p.body)), Request: r,
		Body: &answerBody{answers: &t.server.answers, buffer: c.buffer, rest: p.body}}, nil
}

var jsonType = []string{contentType}
