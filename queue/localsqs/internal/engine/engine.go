package engine

// Config are the constants of an engine.
type Config struct {
	Account  string
	Strict   bool            // AWS's 60 s waits after DeleteQueue and PurgeQueue
	Salt     uint64          // marks this server's receipt handles
	Durable  bool            // record changes
	NewID    func() [16]byte // of messages that a task moves
	AsAWS    bool            // behave as AWS at its worst, by the draws of Seed
	Seed     uint64
	Scan     int // how many messages of a FIFO queue are looked through with AsAWS; 0: 120 000
	InFlight int // how many messages of a queue may be in flight; 0: MaxInFlight
}

// Engine owns all queues. See the package comment for how to call it.
type Engine struct {
	cfg       Config
	queues    map[Key]*Queue
	byID      map[int64]*Queue
	recent    map[Key]int64 // deleted queues, by time; only in strict mode
	timers    timers
	lastSeq   uint64
	lastQueue int64
	dirty     []*Queue // have waiters and something new to give
	woken     []*Waiter
	changes   []Change
	attempts  attempts
	lastTask  int64
	ending    bool    // receives wait no longer
	unkind    *unkind // nil unless AsAWS

	now      int64 // of the latest Advance
	recorded int64 // the latest time that was recorded
	setBack  int64 // how far the clock was set back while there was no server; 0: not at all
}

// New makes an engine without queues.
func New(cfg Config) *Engine {
	if cfg.InFlight == 0 {
		cfg.InFlight = MaxInFlight
	}
	e := &Engine{
		cfg:    cfg,
		queues: map[Key]*Queue{},
		byID:   map[int64]*Queue{},
		recent: map[Key]int64{},
	}
	if cfg.Scan == 0 {
		e.cfg.Scan = scanLimit
	}
	if cfg.AsAWS {
		e.unkind = newUnkind(cfg.Seed)
	}
	e.timers.init()
	e.attempts.byKey = map[attemptKey]*attempt{}
	return e
}

// Advance performs everything that is due. Call it before an operation
// with the same time, and when NextTimer says so.
func (e *Engine) Advance(now int64) {
	e.now = now
	for e.timers.heap.len() > 0 && e.timers.heap.slots[0].key <= now {
		e.timers.heap.pop().due(e, now)
	}
	e.serveAll(now)
}

// NextTimer is when Advance has something to do next; ok is false if never.
func (e *Engine) NextTimer() (at int64, ok bool) {
	if e.timers.heap.len() == 0 {
		return 0, false
	}
	return e.timers.heap.slots[0].key, true
}

// TakeWoken hands out the waiters that were answered since the last call.
func (e *Engine) TakeWoken() []*Waiter {
	w := e.woken
	e.woken = nil
	return w
}

// serveAll ends an operation: waiters get what it made available.
func (e *Engine) serveAll(now int64) {
	for len(e.dirty) > 0 {
		q := e.dirty[len(e.dirty)-1]
		e.dirty = e.dirty[:len(e.dirty)-1]
		q.dirty = false
		e.serve(now, q)
	}
}

type timers struct{ heap minHeap[timed] }

// timed is what stands in the timer heap: messages, waiters and timers. due is
// called once it has left the heap.
type timed interface {
	due(e *Engine, now int64)
	setPos(i int32)
}

func (t *timers) init() {
	t.heap.place = func(x timed, i int32) { x.setPos(i) }
}

func (t *timers) set(x *timer, at int64) {
	if x.pos >= 0 {
		t.heap.remove(x.pos)
	}
	x.at = at
	t.heap.push(at, 0, x)
}

func (t *timers) drop(x *timer) {
	if x.pos >= 0 {
		t.heap.remove(x.pos)
	}
}

// timer is a timed action of a queue.
type timer struct {
	at   int64
	pos  int32
	fire func(e *Engine, now int64)
}

func newTimer(fire func(*Engine, int64)) timer { return timer{pos: -1, fire: fire} }

func (t *timer) due(e *Engine, now int64) { t.fire(e, now) }
func (t *timer) setPos(i int32)           { t.pos = i }
