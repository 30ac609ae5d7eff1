package server

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"strings"
)

// HandlerFunc is a handler that answers a request, or returns why it did not. Of an error that is no [Problem] the
// client learns nothing but the request's id, under which it is logged.
//
//	mux.Handle("GET /orders/{id}", server.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
//		order, err := store.Get(r.Context(), r.PathValue("id"))
//		if err != nil {
//			return err // 500, or what a *server.Problem says
//		}
//		return server.WriteJSON(w, http.StatusOK, order)
//	}))
type HandlerFunc func(w http.ResponseWriter, r *http.Request) error

// ServeHTTP implements http.Handler.
func (f HandlerFunc) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	err := f(w, r)
	if err == nil {
		return
	}
	var p *Problem
	known := errors.As(err, &p)
	if r.Context().Err() != nil && !known {
		return // its client has gone, or its time limit is over: the middleware says so
	}
	begun := false
	if o, ok := w.(interface{ begun() bool }); ok {
		begun = o.begun()
	}
	if !known || begun {
		slog.ErrorContext(r.Context(), "a request failed", "error", err)
	}
	switch {
	case begun:
		panic(http.ErrAbortHandler) // the client must not take a part for the whole
	case !known:
		p = &Problem{Status: http.StatusInternalServerError, Detail: "the request has failed; its id is in the log"}
	}
	p.Write(w, r)
}

// WriteJSON answers with a value. It returns an error, and has written nothing, if the value has no form in JSON.
func WriteJSON(w http.ResponseWriter, status int, value any) error {
	body, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("write the answer: %w", err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n')) // an error here is a client that has gone
	return nil
}

// ReadJSON reads the body of a request into a value: one of at most limit bytes, without unknown fields and with
// nothing after it. Its error is a [Problem]: 415, 413 or 400.
func ReadJSON(w http.ResponseWriter, r *http.Request, limit int64, into any) error {
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if kind != "application/json" && !strings.HasSuffix(kind, "+json") {
		return &Problem{Status: http.StatusUnsupportedMediaType, Detail: "Send application/json as Content-Type."}
	}
	LimitBody(w, r, limit)
	body := json.NewDecoder(r.Body)
	body.DisallowUnknownFields()
	err := body.Decode(into)
	if err == nil {
		if _, err = body.Token(); err == io.EOF {
			return nil
		} else if err == nil {
			err = errors.New("there is more after the value")
		}
	}
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return &Problem{Status: http.StatusRequestEntityTooLarge,
			Detail: fmt.Sprintf("The body has more than %d bytes.", large.Limit)}
	}
	return &Problem{Status: http.StatusBadRequest, Detail: "The body is not what is expected: " + err.Error()}
}
