package poller

import "github.com/asynkron/protoactor-go/actor"

// flush waits for all settlements up to a serial.
type flush struct {
	serial uint64
	asker  *actor.PID
}

func (w *worker) onFlush(asker *actor.PID) {
	w.flushes = append(w.flushes, flush{serial: w.settles, asker: asker})
}

// concludeFlushes answers those that have nothing to wait for any more.
func (w *worker) concludeFlushes() {
	n := 0
	for n < len(w.unflushed) && w.unflushed[n].answered {
		n++
	}
	if n > 0 {
		clear(w.unflushed[:n])
		if w.unflushed = w.unflushed[n:]; len(w.unflushed) == 0 {
			w.unflushed = nil
		}
	}
	for len(w.flushes) > 0 && (len(w.unflushed) == 0 || w.unflushed[0].serial > w.flushes[0].serial) {
		w.answer(w.flushes[0].asker, &Flushed{})
		w.flushes = w.flushes[1:]
	}
}
