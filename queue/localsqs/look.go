package localsqs

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"

	"github.com/sambatech/chassis/queue/localsqs/internal/engine"
)

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

// serveLook serves the pages for people and monitoring. They only read. If the
// server has credentials, requests for them must be signed, except for the health:
// a probe cannot sign, and then gets no more than a yes or no.
func (s *Server) serveLook(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		http.Error(w, "this page can only be read: use GET", http.StatusMethodNotAllowed)
		return
	}
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	if r.URL.Path == "/-/health" {
		if err := s.Health(); err != nil {
			text := err.Error()
			if len(s.cfg.keys) > 0 {
				text = "unavailable" // the error names the file
			}
			http.Error(w, text, http.StatusServiceUnavailable)
			return
		}
		_, _ = io.WriteString(w, "ok\n") // the client may have left, here and below
		return
	}
	if err := s.signedPage(r); err != nil {
		discard(w, r, refusedRead)
		http.Error(w, err.Error()+
			"; sign the request with one of the server's access keys, as by curl --aws-sigv4 "+
			"aws:amz:us-east-1:sqs", err.Status)
		return
	}
	switch r.URL.Path {
	case "/-/stats":
		writeJSON(w, s.Stats())
	case "/-/metrics":
		serveMetrics(w, r, s.Stats())
	case "/-/peek":
		s.servePeek(w, r)
	default:
		http.Error(w,
			"there is no page here; the pages are /-/health, /-/stats, /-/metrics and "+
				"/-/peek?queue=NAME&max=10", http.StatusNotFound)
	}
}

// signedPage checks the signature of a request for a page, which has no body.
func (s *Server) signedPage(r *http.Request) *engine.Error {
	sig, err := s.authenticate(r, signedOfPages)
	if err != nil || sig == nil {
		return err
	}
	return sig.check(r, nil)
}

const maxPeek = 1000

func (s *Server) servePeek(w http.ResponseWriter, r *http.Request) {
	limit := 10
	if text := r.URL.Query().Get("max"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > maxPeek {
			http.Error(w, fmt.Sprintf("max is %q: want a number from 1 to %d", text, maxPeek), http.StatusBadRequest)
			return
		}
		limit = n
	}
	list, err := s.Peek(r.URL.Query().Get("queue"), limit)
	if err != nil {
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	}
	writeJSON(w, list)
}

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	_ = e.Encode(v)
}
