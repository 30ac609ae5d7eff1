package server

import (
	"cmp"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"strings"
)

// Problem is an answer that says what is wrong with a request: problem details (RFC 9457). It is an error, for a
// [HandlerFunc] to return.
//
//	return &server.Problem{Status: http.StatusConflict, Detail: "The order is paid."}
type Problem struct {
	Status int            // 400 to 599; another one is 500
	Type   string         // URI that names the kind of problem; "" is about:blank
	Title  string         // the same for each problem of the kind; "" is the text of the status
	Detail string         // what is wrong with this request, and what to do: the client reads it
	More   map[string]any // members of the service's own, like "errors"
}

// Error implements error.
func (p *Problem) Error() string { return p.title() + ": " + p.Detail }

// Write answers a request with the problem and the request's id: as JSON, or as plain text where the client takes no
// JSON. Nothing of another answer may be sent yet.
func (p *Problem) Write(w http.ResponseWriter, r *http.Request) {
	p.write(w, r, RequestID(r.Context()))
}

func (p *Problem) status() int {
	if p.Status < 400 || p.Status > 599 {
		return http.StatusInternalServerError
	}
	return p.Status
}

func (p *Problem) title() string {
	return cmp.Or(p.Title, http.StatusText(p.status()), "Problem")
}

func (p *Problem) write(w http.ResponseWriter, r *http.Request, id string) {
	header := w.Header()
	// A handler that ended early may have announced another body.
	for _, name := range []string{"Content-Length", "Content-Encoding", "Etag", "Last-Modified", "Cache-Control"} {
		header.Del(name)
	}
	header.Set("Cache-Control", "no-store")
	header.Set("X-Content-Type-Options", "nosniff")
	if plainText(r.Header.Get("Accept")) {
		header.Set("Content-Type", "text/plain; charset=utf-8")
		w.WriteHeader(p.status())
		_, _ = io.WriteString(w, p.Error()+"\n")
		return
	}
	header.Set("Content-Type", "application/problem+json")
	body, err := json.Marshal(p.members(p.More, id))
	if err != nil {
		body, _ = json.Marshal(p.members(nil, id)) // strings and a number
	}
	w.WriteHeader(p.status())
	_, _ = w.Write(append(body, '\n'))
}

// members are those of the answer. The service's own do not replace the others.
func (p *Problem) members(more map[string]any, id string) map[string]any {
	all := maps.Clone(more)
	if all == nil {
		all = map[string]any{}
	}
	all["type"], all["title"], all["status"] = cmp.Or(p.Type, "about:blank"), p.title(), p.status()
	if p.Detail != "" {
		all["detail"] = p.Detail
	}
	if id != "" {
		all["request_id"] = id
	}
	return all
}

// problem answers a request with a status and an explanation.
func problem(w http.ResponseWriter, r *http.Request, status int, detail, id string) {
	(&Problem{Status: status, Detail: detail}).write(w, r, id)
}

// plainText reports whether a client with this Accept header wants text, and no JSON.
func plainText(accept string) bool {
	const enough = 1 << 10 // bytes that are looked at
	accept = accept[:min(len(accept), enough)]
	return strings.Contains(accept, "text/") && !strings.Contains(accept, "json") && !strings.Contains(accept, "*/*")
}
