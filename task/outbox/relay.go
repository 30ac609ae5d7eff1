package outbox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/google/uuid"

	"github.com/sambatech/chassis/actors/poller"
	"github.com/sambatech/chassis/actors/pools"
	"github.com/sambatech/chassis/internal/clip"
	"github.com/sambatech/chassis/parts"
)

// System is what a relay needs of a service, a *chassis.System: the client of the queue,
// and the pool of tasks that name none.
type System interface {
	SQS() *sqs.Client
	Pools() []pools.Pool
}

// Listener waits for news of the database and calls wake for each, also once when it has
// begun to listen, until ctx ends or its connection is lost. The relay calls it again
// after a pause. Package pgxoutbox has one for PostgreSQL.
type Listener func(ctx context.Context, wake func()) error

// RelayOption changes a [Relay].
type RelayOption func(*Relay)

// WithListener wakes the relay by LISTEN and NOTIFY, in place of frequent polling.
func WithListener(l Listener) RelayOption { return func(r *Relay) { r.listener = l } }

// WithRandom is the source of the jitter of pauses: f draws from [0, 1). The default is
// that of math/rand/v2.
func WithRandom(f func() float64) RelayOption { return func(r *Relay) { r.random = f } }

// Relay sends the rows of an outbox. It is a part of a service: add it with System.Add,
// as a support part, so that it sends what the last tasks have left. Several may work on
// one outbox, in one process or many; on SQLite one of them sends.
type Relay struct {
	box      *Box
	sys      System
	settings Settings
	listener Listener
	random   func() float64
	id       string

	log    *slog.Logger
	sender *poller.Sender
	own    string // pool of rows that name none
	woken  chan struct{}
	cancel context.CancelFunc // begins the stop
	kill   context.CancelFunc // cuts it short
	work   sync.WaitGroup
	ended  chan struct{}
	stats  stats

	// Of the loop's goroutine alone.
	paused   pauses
	database backoff
	leadEnds time.Time       // SQLite: the relay may send until
	unsure   map[string]bool // exec_ids that the queue has, and that may not be deleted
	swept    time.Time
}

// Relay returns a relay of the box.
func (b *Box) Relay(sys System, settings Settings, opts ...RelayOption) *Relay {
	r := &Relay{box: b, sys: sys, random: rand.Float64, id: uuid.NewString(), woken: make(chan struct{}, 1),
		paused: pauses{}, unsure: map[string]bool{}}
	for _, opt := range opts {
		opt(r)
	}
	r.settings = settings.withDefaults(r.listener != nil)
	return r
}

// Start implements [parts.Part].
func (r *Relay) Start(_ context.Context, host *parts.Host) error {
	if err := r.settings.check(); err != nil {
		return err
	}
	if r.ended != nil {
		return errors.New("outbox: a relay is started once: make another one")
	}
	r.log = host.Logger
	if all := r.sys.Pools(); len(all) > 0 {
		r.own = all[0].Name()
	}
	r.sender = poller.NewSender(r.sys.SQS(), poller.SenderRandom(r.random))
	r.ended = make(chan struct{})
	stop, cancel := context.WithCancel(context.Background())
	hard, kill := context.WithCancel(context.Background())
	r.cancel, r.kill = cancel, kill
	r.work.Go(func() { r.run(stop, hard) })
	if r.listener != nil {
		r.work.Go(func() { r.listen(stop) })
	}
	go func() {
		r.work.Wait()
		close(r.ended)
	}()
	return nil
}

// Stop implements [parts.Part]. The relay ends the pass under way and goes on for a
// moment with what the last tasks have left. Rows beyond that stay in the table, for
// other processes or the next start.
func (r *Relay) Stop(ctx context.Context) error {
	r.cancel()
	defer r.kill()
	var err error
	select {
	case <-r.ended:
	case <-ctx.Done():
		r.kill()
		err = fmt.Errorf("outbox: the relay of %s was cut short; its rows stay in the table: %w", r.box.table,
			context.Cause(ctx))
		select {
		case <-r.ended:
		case <-time.After(killed):
		}
	}
	return errors.Join(err, r.sender.Close(ctx))
}

const (
	killed   = 500 * time.Millisecond // for the end of a pass that is cut short
	lastTime = 2 * time.Second        // for the rows that the last tasks have left
)

// run is the relay's loop. A pass goes on when stop ends, and not when hard does.
func (r *Relay) run(stop, hard context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		woken, box := r.woken, r.box.wake
		if time.Now().Before(r.database.until) {
			woken, box = nil, nil // the database is away: its pause is kept
		}
		select {
		case <-stop.Done():
			r.last(hard)
			return
		case <-timer.C:
		case <-woken:
		case <-box:
		}
		wait, _ := r.turn(hard)
		timer.Reset(wait)
	}
}

// last makes the passes of a stop.
func (r *Relay) last(ctx context.Context) {
	for end, more := time.Now().Add(lastTime), r.database.pause == 0; more && time.Now().Before(end); {
		_, more = r.turn(ctx)
	}
	r.release(ctx)
}

// turn makes a pass, and returns how long to wait for the next, and whether more rows wait.
func (r *Relay) turn(ctx context.Context) (wait time.Duration, more bool) {
	more, err := r.guarded(ctx)
	now := time.Now()
	if err != nil {
		if r.database.pause == 0 {
			r.log.ErrorContext(ctx, "the outbox cannot be relayed: rows wait in the table", "table", r.box.table,
				"error", err)
		}
		r.stats.failing(err)
		r.database.fail(now, r.random)
		return r.database.until.Sub(now), false
	}
	if r.database.pause > 0 {
		r.log.InfoContext(ctx, "the outbox works again", "table", r.box.table)
	}
	r.database = backoff{}
	r.stats.failing(nil)
	if more {
		return 0, true
	}
	return r.paused.wait(now, r.settings.Poll), false
}

// guarded is a pass and what is due besides it. A panic, of a driver for example, is an error.
func (r *Relay) guarded(ctx context.Context) (more bool, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("outbox: panic: %s\n%s", clip.Panic(v), strings.TrimSpace(string(debug.Stack())))
		}
	}()
	if r.box.dialect == SQLite {
		if leads, err := r.lead(ctx); err != nil || !leads {
			return false, err
		}
	}
	more, err = r.pass(ctx)
	if err == nil && !more && time.Since(r.swept) >= r.settings.SweepEvery {
		err = r.sweep(ctx)
	}
	return more, err
}

// wakeUp lets the loop make a pass. It never blocks.
func (r *Relay) wakeUp() {
	select {
	case r.woken <- struct{}{}:
	default:
	}
}

// listen runs the listener until ctx ends.
func (r *Relay) listen(ctx context.Context) {
	var pause backoff
	for ctx.Err() == nil {
		begun := time.Now()
		err := r.listenOnce(ctx)
		if ctx.Err() != nil {
			return
		}
		if time.Since(begun) > mostPause {
			pause = backoff{}
		}
		if pause.pause == 0 {
			r.log.WarnContext(ctx, "the outbox does not hear of new rows: it polls until it does", "table",
				r.box.table, "error", err)
		}
		pause.fail(time.Now(), r.random)
		r.wakeUp()
		select {
		case <-ctx.Done():
		case <-time.After(time.Until(pause.until)):
		}
	}
}

func (r *Relay) listenOnce(ctx context.Context) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("outbox: the listener panicked: %s", clip.Panic(v))
		}
	}()
	if err = r.listener(ctx, r.wakeUp); err == nil {
		err = errors.New("the listener has returned")
	}
	return err
}
