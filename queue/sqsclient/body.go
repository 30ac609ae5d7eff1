package sqsclient

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
)

// Doer is what the SDK asks of an HTTP client. *http.Client is one.
type Doer interface {
	Do(*http.Request) (*http.Response, error)
}

// plainBody hands requests on with a body that is a plain reader over memory,
// for the reason given in the package comment. With GetBody set, net/http may
// also send a request again by itself if its kept connection turned out closed
// before anything was written.
type plainBody struct {
	next  Doer
	short *shortcut // sees each request, once it is complete; nil: requests go past it
}

func (p plainBody) Do(req *http.Request) (*http.Response, error) {
	if req.Body == nil || req.Body == http.NoBody {
		return p.next.Do(req)
	}
	body, err := readAll(req.Body, req.ContentLength)
	if closeErr := req.Body.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return nil, fmt.Errorf("sqsclient: reading the request body of %s %s: %w", req.Method, req.URL.Host, err)
	}
	plain := *req // the SDK made req for this attempt alone, but its Body is the SDK's to close
	plain.ContentLength = int64(len(body))
	plain.Body = io.NopCloser(bytes.NewReader(body))
	plain.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	if p.short != nil {
		p.short.learn(&plain)
	}
	return p.next.Do(&plain)
}

func readAll(r io.Reader, size int64) ([]byte, error) {
	if size < 0 {
		return io.ReadAll(r)
	}
	body := make([]byte, size)
	_, err := io.ReadFull(r, body)
	return body, err
}
