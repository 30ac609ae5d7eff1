package breaker

import (
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/sambatech/chassis/internal/clip"
)

// term is how long a call may hold a slot of a half-open entry.
type term struct {
	hold    time.Duration // 0 for probe_timeout
	lenient bool          // past it the slot is given back and nothing is counted
}

// slotGrace is how much later than an exchange the machine takes a slot back.
// It is a backstop: the exchange settles its probe itself.
const slotGrace = time.Second

// term returns how long a call to path may hold a slot. An exchange is timed: it
// knows which side's time passes, and settles its probe itself.
func (b *Breaker) term(w patience, set *config, timed bool) term {
	switch {
	case timed:
		return term{hold: set.ProbeTimeout + min(max(w.limit, w.left), set.OpenMax) + slotGrace, lenient: true}
	case w.source == fromSettings:
		return term{}
	case w.limit == 0:
		return term{hold: set.ProbeTimeout, lenient: true}
	}
	return term{hold: max(set.ProbeTimeout, w.limit)}
}

// slotOver ends a probe's time and gives its slot back. While the service is
// waited for, the end of the wait decides. Else the verdict is what was seen of
// the service: good headers are a success; a request that the caller is still
// sending, or a wait without a limit, is neutral.
func (x *exchange) slotOver() {
	x.mu.Lock()
	if x.outcome == unsettled && (x.stage == stageJudging || x.waits() && x.bounded()) {
		x.outcome = overdue
	}
	known, headers := x.outcome != unsettled, x.stage == stageHeaders
	x.mu.Unlock()
	switch {
	case known:
		return
	case headers:
		x.settle(Neutral, 0)
		return
	}
	verdict, hold := Failure, time.Duration(0)
	defer func() { // of the classifier, which runs on the timer's goroutine here
		if r := recover(); r != nil && x.b.logger != nil {
			x.b.logger.Error("the classifier of a circuit breaker panicked", slog.String("service", x.b.service),
				slog.String("panic", clip.Panic(r)), slog.String("stack", string(debug.Stack())))
		}
		x.settle(verdict, hold)
	}()
	verdict, hold = x.look(nil, false, true)
}

// shown reports whether the exchange is a probe, and a piece of the body that
// comes now shows enough of the service.
func (x *exchange) shown() bool {
	e := x.extra
	return e != nil && e.half != 0 && x.b.now() >= e.half
}
