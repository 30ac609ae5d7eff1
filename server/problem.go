package server

import (
	"encoding/json"
	"net/http"
	"strings"
)

// problem answers a request with a status and an explanation: as problem details
// (RFC 9457), or as plain text where the client takes no JSON.
func problem(w http.ResponseWriter, r *http.Request, status int, detail, id string) {
	header := w.Header()
	// A handler that ended early may have announced another body.
	for _, name := range []string{"Content-Length", "Content-Encoding", "Etag", "Last-Modified", "Cache-Control"} {
		header.Del(name)
	}
	header.Set("Cache-Control", "no-store")
	header.Set("X-Content-Type-Options", "nosniff")
	title := http.StatusText(status)
	if plainText(r.Header.Get("Accept")) {
		header.Set("Content-Type", "text/plain; charset=utf-8")
		w.WriteHeader(status)
		_, _ = w.Write([]byte(title + ": " + detail + "\n"))
		return
	}
	header.Set("Content-Type", "application/problem+json")
	body, err := json.Marshal(struct {
		Type      string `json:"type"`
		Title     string `json:"title"`
		Status    int    `json:"status"`
		Detail    string `json:"detail"`
		RequestID string `json:"request_id,omitempty"`
	}{"about:blank", title, status, detail, id})
	if err != nil {
		body = nil // strings and a number: cannot be
	}
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n'))
}

// plainText reports whether a client with this Accept header wants text, and no JSON.
func plainText(accept string) bool {
	const enough = 1 << 10 // bytes that are looked at
	accept = accept[:min(len(accept), enough)]
	return strings.Contains(accept, "text/") && !strings.Contains(accept, "json") && !strings.Contains(accept, "*/*")
}
