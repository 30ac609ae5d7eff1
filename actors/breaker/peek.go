package breaker

import (
	"net/http"
	"time"
)

// peek notes the first bytes of a response's body for the classifier.
type peek struct {
	res     *http.Response // a copy that is the classifier's alone
	verdict Verdict        // over the headers
	limit   int
	seen    []byte
}

// peekSize is how much room a peek begins with when the length is not known.
const peekSize = 512

// peekAt returns a peek if the classifier wants one. v is the verdict over the
// headers.
func (b *Breaker) peekAt(res *http.Response, v Verdict) *peek {
	r := b.rules
	if r == nil || r.limit == 0 || r.which != nil && !r.which(res) {
		return nil
	}
	copied := *res
	copied.Header, copied.Body = res.Header.Clone(), http.NoBody
	size := min(r.limit, peekSize)
	if res.ContentLength >= 0 {
		size = int(min(int64(r.limit), res.ContentLength))
	}
	return &peek{&copied, v, r.limit, make([]byte, 0, size)}
}

// look notes what has come of the body. When that is all (over), as much as is
// wanted, or all that there is time for (enough), it returns the classifier's
// verdict; before, and when there is nothing to look for, it is Success: the
// body is watched on.
func (x *exchange) look(p []byte, over, enough bool) (Verdict, time.Duration) {
	k := x.peek.Load()
	if k == nil {
		return Success, 0
	}
	x.mu.Lock()
	if x.peek.Load() != k {
		x.mu.Unlock()
		return Success, 0
	}
	room := k.limit - len(k.seen)
	k.seen = append(k.seen, p[:min(len(p), room)]...)
	if !over && !enough && len(p) < room {
		x.mu.Unlock()
		return Success, 0
	}
	x.peek.Store(nil)
	x.mu.Unlock()
	return x.b.judgeBody(k, k.verdict, over && len(p) <= room)
}

// lookAtLeast is the verdict over a body that the caller has done with: def,
// unless the classifier has yet to see it.
func (x *exchange) lookAtLeast(def Verdict) (Verdict, time.Duration) {
	x.mu.Lock()
	k := x.peek.Swap(nil)
	x.mu.Unlock()
	switch {
	case k == nil:
		return def, 0
	case k.verdict == Failure:
		def = Failure
	}
	return x.b.judgeBody(k, def, false)
}

func (b *Breaker) judgeBody(k *peek, def Verdict, whole bool) (v Verdict, hold time.Duration) {
	v = b.rules.classify(Outcome{Response: k.res, Body: k.seen, Whole: whole, Default: def})
	if v == Failure {
		hold = retryAfter(k.res.Header)
	}
	return v, hold
}
