package admin

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"strconv"

	"github.com/sambatech/chassis/internal/clip"
)

// Errors that an implementation of the interfaces wraps. They say which side made
// the mistake; any other error is the server's (500).
var (
	ErrNotFound = errors.New("not found")        // 404
	ErrInvalid  = errors.New("invalid")          // 400
	ErrNotNow   = errors.New("not possible now") // 409: the service's state does not allow it
)

// Problem is the body of every error (RFC 9457, application/problem+json).
type Problem struct {
	Title  string `json:"title"` // of the status
	Status int    `json:"status"`
	Detail string `json:"detail"` // what was tried, what was found, what to do
}

func problem(w http.ResponseWriter, status int, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	detail = clip.Cut(clip.Block(detail), 2*clip.Text)
	_ = json.NewEncoder(w).Encode(Problem{http.StatusText(status), status, detail}) // the client may have gone
}

// fail answers with err.
func fail(w http.ResponseWriter, err error) {
	var size *http.MaxBytesError
	status := http.StatusInternalServerError
	switch {
	case errors.As(err, &size):
		status = http.StatusRequestEntityTooLarge
	case errors.Is(err, errNoHeader), errors.Is(err, errBody):
		status = http.StatusForbidden
	case errors.Is(err, os.ErrDeadlineExceeded):
		status = http.StatusRequestTimeout
	case errors.Is(err, errMediaType):
		status = http.StatusUnsupportedMediaType
	case errors.Is(err, ErrInvalid):
		status = http.StatusBadRequest
	case errors.Is(err, ErrNotFound):
		status = http.StatusNotFound
	case errors.Is(err, ErrNotNow):
		status = http.StatusConflict
	case errors.Is(err, errMember):
		status = http.StatusBadGateway
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		status = http.StatusGatewayTimeout
	}
	problem(w, status, err.Error())
}

// quote is a foreign value, short and harmless, for an error.
func quote(s string) string {
	return strconv.QuoteToASCII(clip.Cut(s, 80))
}
