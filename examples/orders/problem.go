package main

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"

	"github.com/sambatech/chassis/server"
)

// Problem is an answer that says what is wrong with a request (RFC 9457).
type Problem struct {
	Status    int          `json:"status"`
	Title     string       `json:"title"`
	Detail    string       `json:"detail,omitempty"`
	Errors    []FieldError `json:"errors,omitempty"`
	RequestID string       `json:"request_id,omitempty"`
}

// FieldError is what is wrong with one field.
type FieldError struct {
	Field  string `json:"field"`
	Detail string `json:"detail"`
}

// Error implements error.
func (p *Problem) Error() string { return p.Detail }

// handler answers a request, or returns why it did not.
type handler func(w http.ResponseWriter, r *http.Request) error

// ServeHTTP makes an answer of an error. One that is no Problem is logged, and its text
// is not for strangers.
func (h handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	err := h(w, r)
	if err == nil || r.Context().Err() != nil {
		return // after the time limit the middleware answers 504
	}
	var p *Problem
	if !errors.As(err, &p) {
		slog.ErrorContext(r.Context(), "a request failed", "error", err)
		p = &Problem{Status: http.StatusInternalServerError,
			Detail: "Try again, with the same Idempotency-Key. Our log has the reason under the request_id."}
	}
	answer := *p
	answer.Title, answer.RequestID = http.StatusText(p.Status), server.RequestID(r.Context())
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(answer.Status)
	_ = json.NewEncoder(w).Encode(answer) // an error here is a client that has gone
}

// writeJSON answers with a value.
func writeJSON(w http.ResponseWriter, status int, value any) error {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(value) // an error here is a client that has gone
	return nil
}
