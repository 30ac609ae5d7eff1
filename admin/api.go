package admin

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// handler answers with a value to be sent as JSON, or an error.
type handler func(r *http.Request) (any, error)

func (s *Server) answer(h handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		done, ok := s.guard.serving(w, r)
		if !ok {
			return
		}
		value, err := h(r)
		var body []byte
		if err == nil {
			body, err = json.Marshal(value)
		}
		done() // a client that does not read keeps no place
		if err == nil && len(body) > maxAnswer {
			err = fmt.Errorf("the answer would have %d bytes, more than %d: ask for less, by the parameter limit",
				len(body), maxAnswer)
		}
		if err != nil {
			fail(w, err)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Write(append(body, '\n'))
	})
}

func (s *Server) getState(r *http.Request) (any, error) { return s.state(r.Context()), nil }

// Client is what the server knows of a client.
type Client struct {
	Name  string `json:"name"`
	Scope Scope  `json:"scope"`
}

func (s *Server) getClient(r *http.Request) (any, error) {
	c := clientOf(r)
	return Client{c.Name, c.Scope}, nil
}

// ExecutionPage is a window on what is held.
type ExecutionPage struct {
	At      time.Time   `json:"at"`
	Total   int         `json:"total"`   // that are held
	Matched int         `json:"matched"` // of those that were looked through
	Seen    int         `json:"seen"`    // that were looked through: the oldest, if there are very many
	Offset  int         `json:"offset"`
	List    []Execution `json:"list"`
}

const (
	maxSeen       = 100_000 // executions looked through
	maxWindow     = 500     // executions in an answer
	defaultWindow = 100
	listFor       = time.Second // how long one list is shown to all viewers
)

// listing is the last list of executions. Asking the dispatcher for it costs
// time in proportion to its length, so viewers share one.
type listing struct {
	mu    sync.Mutex // held while asking: others want the same answer
	at    time.Time
	list  []Execution
	total int
}

func (s *Server) executions(ctx context.Context) ([]Execution, int, time.Time, error) {
	l := &s.listing
	l.mu.Lock()
	defer l.mu.Unlock()
	if time.Since(l.at) < listFor {
		return l.list, l.total, l.at, nil
	}
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	list, total, err := s.cfg.Tasks.Executions(ctx, maxSeen)
	if err != nil {
		return nil, 0, time.Time{}, fmt.Errorf("list the executions: %w", err)
	}
	l.list, l.total, l.at = list, total, time.Now()
	return l.list, l.total, l.at, nil
}

// fresh makes the next look see what a command has changed.
func (l *listing) fresh() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.at = time.Time{}
}

func (s *Server) getExecutions(r *http.Request) (any, error) {
	q := r.URL.Query()
	offset, err := number(q, "offset", 0, 0, maxSeen)
	if err != nil {
		return nil, err
	}
	limit, err := number(q, "limit", defaultWindow, 1, maxWindow)
	if err != nil {
		return nil, err
	}
	list, total, at, err := s.executions(r.Context())
	if err != nil {
		return nil, err
	}
	page := ExecutionPage{At: at, Total: total, Seen: len(list), Offset: offset, List: []Execution{}}
	search, phase, name := strings.ToLower(strings.TrimSpace(q.Get("search"))), q.Get("phase"), q.Get("task")
	for i := range list {
		e := &list[i]
		if phase != "" && e.Phase != phase || name != "" && e.Task != name || !e.matches(search) {
			continue
		}
		if page.Matched >= offset && len(page.List) < limit {
			page.List = append(page.List, e.bounded())
		}
		page.Matched++
	}
	return page, nil
}

func (e *Execution) matches(search string) bool {
	if search == "" {
		return true
	}
	return slices.ContainsFunc([]string{e.Task, e.ExecID, e.JobID, e.JobName, e.Error},
		func(text string) bool { return strings.Contains(strings.ToLower(text), search) })
}

// DeadPage is what is in the dead-letter pool.
type DeadPage struct {
	List []DeadLetter `json:"list"`
	More bool         `json:"more"` // there are more than were asked for
}

const (
	maxDead     = 1000
	defaultDead = 200
	deadTime    = writeLimit - 10*time.Second // for one answer: a later one could not be sent any more
)

func (s *Server) getDead(r *http.Request) (any, error) {
	limit, err := number(r.URL.Query(), "limit", defaultDead, 1, maxDead)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(r.Context(), deadTime)
	defer cancel()
	letters, more, err := s.cfg.Dead.List(ctx, limit)
	if err != nil {
		return nil, err
	}
	letters, cut := boundLetters(letters, s.guard.creds.Load().sees(clientOf(r).Scope))
	return DeadPage{letters, more || cut}, nil
}

// sharing keeps a list that took long to make for later viewers.
type sharing[T any] struct {
	mu    sync.Mutex // held while the list is made: others want the same one
	until time.Time
	list  []T
}

// A list that took sharedFrom or longer to make is shown for sharedFor times as
// long to later viewers: looking takes a tenth of one processor at most.
const (
	sharedFrom = 5 * time.Millisecond
	sharedFor  = 10
)

func (s *sharing[T]) get(make func() []T) []T {
	s.mu.Lock()
	defer s.mu.Unlock()
	begun := time.Now()
	if begun.Before(s.until) {
		return s.list
	}
	s.list = make()
	if took := time.Since(begun); took >= sharedFrom {
		s.until = time.Now().Add(sharedFor * took)
	}
	return s.list
}

// fresh makes the next look see what a command has changed.
func (s *sharing[T]) fresh() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.until = time.Time{}
}

// breakers returns all of them. The list is shared: it must not be changed.
func (s *Server) breakers() []Breaker { return s.allBreakers.get(s.cfg.Breakers.Breakers) }

// BreakerPage is a window on the breakers, by service.
type BreakerPage struct {
	Total  int       `json:"total"`
	Offset int       `json:"offset"`
	List   []Breaker `json:"list"`
}

func (s *Server) getBreakers(r *http.Request) (any, error) {
	q := r.URL.Query()
	offset, err := number(q, "offset", 0, 0, math.MaxInt32)
	if err != nil {
		return nil, err
	}
	limit, err := number(q, "limit", defaultWindow, 1, maxBreakers)
	if err != nil {
		return nil, err
	}
	all := s.breakers()
	from := min(offset, len(all))
	list, _ := boundBreakers(all[from:min(from+limit, len(all))])
	return BreakerPage{len(all), offset, list}, nil
}

func (s *Server) getTransitions(r *http.Request) (any, error) {
	q := r.URL.Query()
	service := q.Get("service")
	if service == "" {
		return nil, fmt.Errorf("%w: the parameter service is missing: name one of the breakers", ErrInvalid)
	}
	since, err := strconv.ParseUint(cmp.Or(q.Get("since"), "0"), 10, 64)
	if err != nil {
		return nil, fmt.Errorf("%w: the parameter since is %s: want the number of a transition", ErrInvalid,
			quote(q.Get("since")))
	}
	list, err := s.cfg.Breakers.Transitions(service, since)
	if err != nil {
		return nil, err
	}
	return map[string]any{"list": boundTransitions(list)}, nil
}

const (
	maxLines     = 2000
	defaultLines = 200
)

func (s *Server) getLog(r *http.Request) (any, error) {
	n, err := number(r.URL.Query(), "lines", defaultLines, 1, maxLines)
	if err != nil {
		return nil, err
	}
	return map[string]any{"lines": boundLog(s.cfg.Logs.Tail(n))}, nil
}

func (s *Server) getSettings(*http.Request) (any, error) {
	list := s.cfg.Explain()
	for i := range list {
		if list[i].Secret && list[i].Value != "" {
			list[i].Value = "••••••" // Explain should have masked it already
		}
	}
	return map[string]any{"list": list}, nil
}

func number(q url.Values, name string, otherwise, least, most int) (int, error) {
	text := q.Get(name)
	if text == "" {
		return otherwise, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < least || n > most {
		return 0, fmt.Errorf("%w: the parameter %s is %s: want a number from %d to %d", ErrInvalid, name, quote(text),
			least, most)
	}
	return n, nil
}

// encode is a value as one line of JSON.
func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil { // values of our own types: a mistake in this package
		return []byte(`{}`)
	}
	return bytes.TrimRight(b, "\n")
}
