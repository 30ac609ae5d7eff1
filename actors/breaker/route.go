package breaker

// through notes the route that an exchange takes.
func (x *exchange) through(r *route, limit *connLimit, mark int64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	e := x.extra
	e.conns, e.route, e.mark = limit, r, mark
	if r != nil {
		r.inFlight.Add(1)
		e.placed = true
	}
}

// leave ends the way of an exchange to an address, with a verdict over it.
func (x *exchange) leave(v Verdict) {
	x.mu.Lock()
	e := x.extra
	r, mark := e.route, e.mark
	x.depart()
	e.route = nil
	x.mu.Unlock()
	if r != nil {
		x.b.result(r.address, v, mark)
	}
}

// depart notes that a request is not in flight any more. Under the mutex.
func (x *exchange) depart() {
	if e := x.extra; e != nil && e.placed {
		e.placed = false
		e.route.inFlight.Add(-1)
	}
}

// passed registers the verdict over an exchange for the address that it went to.
func (x *exchange) passed(v Verdict) {
	x.mu.Lock()
	r, mark := x.extra.route, x.extra.mark
	x.mu.Unlock()
	if r != nil {
		x.b.result(r.address, v, mark)
	}
}
