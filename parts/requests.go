package parts

import (
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/sambatech/chassis/internal/clip"
)

// requests are those under way on one server.
type requests struct {
	mu  sync.Mutex // guards all
	all map[*request]struct{}
}

// request is one under way. It holds no query: that may carry secrets.
type request struct {
	method, path, remote string
	since                time.Time
}

func (q *requests) begin(r *http.Request) *request {
	one := &request{r.Method, r.URL.Path, r.RemoteAddr, time.Now()}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.all == nil {
		q.all = map[*request]struct{}{}
	}
	q.all[one] = struct{}{}
	return one
}

func (q *requests) end(one *request) {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.all, one)
}

func (q *requests) count() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.all)
}

// list returns those under way as they may be shown, the oldest first.
func (q *requests) list() (list []request) {
	q.mu.Lock()
	for r := range q.all {
		list = append(list, *r)
	}
	q.mu.Unlock()
	slices.SortFunc(list, func(a, b request) int { return a.since.Compare(b.since) })
	for i := range list {
		list[i].method, list[i].path = clip.ID(list[i].method), clip.ID(list[i].path)
	}
	return list
}
