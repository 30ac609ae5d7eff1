package localsqs

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/sambatech/chassis/queue/localsqs/internal/engine"
)

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

// serveLook serves the pages for people and monitoring. They only read. Once
// the server has credentials they must be signed, but for the health, which says
// nothing then but yes or no: a probe cannot sign.
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
		http.Error(w, err.Error()+"; sign the request with one of the server's access keys, as by curl --aws-sigv4 aws:amz:us-east-1:sqs", err.Status)
		return
	}
	switch r.URL.Path {
	case "/-/stats":
		writeJSON(w, s.Stats())
	case "/-/metrics":
		h.Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		_, _ = io.WriteString(w, exposition(s.Stats()))
	case "/-/peek":
		s.servePeek(w, r)
	default:
		http.Error(w, "no such page; there are /-/health, /-/stats, /-/metrics and /-/peek?queue=NAME&max=10", http.StatusNotFound)
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

// exposition is st in the text format of Prometheus.
func exposition(st Stats) string {
	var b strings.Builder
	family := func(name, kind, help string) {
		fmt.Fprintf(&b, "# HELP localsqs_%s %s\n# TYPE localsqs_%s %s\n", name, help, name, kind)
	}
	family("messages", "gauge", "Messages of a queue by state.")
	for _, q := range st.Queues {
		for _, v := range []struct {
			state string
			n     int
		}{{"visible", q.Visible}, {"in_flight", q.InFlight}, {"delayed", q.Delayed}} {
			fmt.Fprintf(&b, "localsqs_messages{region=%q,queue=%q,state=%q} %d\n", q.Region, q.Name, v.state, v.n)
		}
	}
	family("oldest_message_age_seconds", "gauge", "Age of the oldest message of a queue.")
	for _, q := range st.Queues {
		fmt.Fprintf(&b, "localsqs_oldest_message_age_seconds{region=%q,queue=%q} %g\n", q.Region, q.Name, q.OldestAge.Seconds())
	}
	family("waiting_receives", "gauge", "Receive calls that wait for a message.")
	for _, q := range st.Queues {
		fmt.Fprintf(&b, "localsqs_waiting_receives{region=%q,queue=%q} %d\n", q.Region, q.Name, q.Waiting)
	}
	counters := func(name, label, help string, by map[string]int64) {
		family(name, "counter", help)
		keys := make([]string, 0, len(by))
		for k := range by {
			keys = append(keys, k)
		}
		slices.Sort(keys)
		for _, k := range keys {
			fmt.Fprintf(&b, "localsqs_%s{%s=%q} %d\n", name, label, k, by[k])
		}
	}
	family("connections", "gauge", "Connections over sockets that are open.")
	fmt.Fprintf(&b, "localsqs_connections %d\n", st.Connections.Open)
	family("connections_refused_total", "counter", "Connections that were closed because there were too many.")
	fmt.Fprintf(&b, "localsqs_connections_refused_total %d\n", st.Connections.Refused)
	counters("requests_total", "operation", "Requests by operation.", st.Requests)
	counters("errors_total", "code", "Refusals by code.", st.Errors)
	if st.File == "" {
		return b.String()
	}
	family("file_bytes", "gauge", "Length of the queue file.")
	fmt.Fprintf(&b, "localsqs_file_bytes %d\n", st.Bytes)
	family("commit_failures_total", "counter", "Groups of changes that could not be written.")
	fmt.Fprintf(&b, "localsqs_commit_failures_total %d\n", st.Commits.Failures)
	family("commit_seconds", "histogram", "Time of a transaction, with its fsync.")
	sum := int64(0)
	for i, bound := range CommitBounds() {
		sum += st.Commits.Within[i]
		fmt.Fprintf(&b, "localsqs_commit_seconds_bucket{le=\"%g\"} %d\n", bound.Seconds(), sum)
	}
	fmt.Fprintf(&b, "localsqs_commit_seconds_bucket{le=\"+Inf\"} %d\nlocalsqs_commit_seconds_sum %g\nlocalsqs_commit_seconds_count %d\n",
		st.Commits.Count, st.Commits.Total.Seconds(), st.Commits.Count)
	return b.String()
}
