package watch

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/sambatech/chassis/settings"
)

const (
	// settle is how long a burst of events is waited out: an editor's save and
	// a kubelet's swap are several events each, milliseconds apart.
	settle = 50 * time.Millisecond
	// lookAgain is how often files are looked at without an event. The kubelet
	// itself syncs a ConfigMap once a minute by default, so this adds little.
	lookAgain = 10 * time.Second
)

// Update is a reload that there is something to say about.
type Update[T any] struct {
	Old     *T                `json:"-"`
	New     *T                `json:"-"`                 // Old where Err is set
	Changes []settings.Change `json:"changes,omitempty"` // in the order of the layout; none after an error that is mended
	Err     error             `json:"-"`                 // why the sources could not be loaded; the old value stays
}

// NeedsRestart lists the changes whose settings are not live.
func (u Update[T]) NeedsRestart() []settings.Change {
	return slices.DeleteFunc(slices.Clone(u.Changes), func(c settings.Change) bool { return c.Live })
}

// Stats is what a watcher did so far.
type Stats struct {
	Loads     int       `json:"loads"`                // the first one included
	Changed   int       `json:"changed"`              // loads that gave another value
	Failures  int       `json:"failures"`             // loads that gave an error
	LastError string    `json:"last_error,omitempty"` // of the last load; empty if it was good
	LastLoad  time.Time `json:"last_load"`
}

// Watcher keeps the current value of a layout.
type Watcher[T any] struct {
	defaults T
	options  []settings.Option
	notify   func(Update[T])
	current  atomic.Pointer[T]
	stats    atomic.Pointer[Stats]
	reload   chan chan Update[T]
	done     chan struct{}
}

// Start loads the sources as [settings.Load] does and then watches their
// files. notify, which may be nil, is called for each reload that gives
// another value, for each new error, and once an error is mended. An error of
// the first load is returned and nothing is started. The watcher ends with ctx.
func Start[T any](ctx context.Context, defaults T, notify func(Update[T]), options ...settings.Option) (*Watcher[T], error) {
	w := &Watcher[T]{defaults: defaults, options: options, notify: notify, reload: make(chan chan Update[T]), done: make(chan struct{})}
	fs, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, fmt.Errorf("watch: the system gives no watcher (is fs.inotify.max_user_instances used up?): %w", err)
	}
	// The files are watched before they are read, so that no change falls between.
	look := newLook(fs)
	look.at(settings.Files(options...))
	first, err := settings.Load(defaults, options...)
	if err != nil {
		_ = fs.Close() // the load's error is what counts
		return nil, err
	}
	w.current.Store(&first)
	w.stats.Store(&Stats{Loads: 1, LastLoad: time.Now()})
	go w.run(ctx, fs, look)
	return w, nil
}

// Current gives the value that was loaded last. It must not be written.
func (w *Watcher[T]) Current() *T { return w.current.Load() }

// Stats gives the counts so far.
func (w *Watcher[T]) Stats() Stats { return *w.stats.Load() }

// Wait returns once the watcher has ended, which it does with its ctx.
func (w *Watcher[T]) Wait() { <-w.done }

// Reload loads at once and gives what came of it, after notify was called if
// there was something to say. Its error is that of ctx, or that the watcher
// has ended; that of the sources is in the update.
func (w *Watcher[T]) Reload(ctx context.Context) (Update[T], error) {
	answer := make(chan Update[T], 1)
	select {
	case w.reload <- answer:
		return <-answer, nil
	case <-ctx.Done():
		return Update[T]{}, fmt.Errorf("watch: reload: %w", ctx.Err())
	case <-w.done:
		return Update[T]{}, fmt.Errorf("watch: reload: the watcher has ended")
	}
}

func (w *Watcher[T]) run(ctx context.Context, fs *fsnotify.Watcher, look *look) {
	defer close(w.done)
	defer func() { _ = fs.Close() }() // nothing can be done about it any more
	again := time.NewTicker(lookAgain)
	defer again.Stop()
	quiet := time.NewTimer(settle)
	quiet.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case e, ok := <-fs.Events:
			if ok && look.concerns(e) {
				quiet.Reset(settle)
			}
		case _, ok := <-fs.Errors: // events were lost
			if !ok {
				return
			}
			quiet.Reset(settle)
		case <-quiet.C:
			w.step(look)
		case <-again.C:
			if look.changed(settings.Files(w.options...)) {
				w.step(look)
			} else {
				look.watch() // and no more: what changes from here on is not seen yet
			}
		case answer := <-w.reload:
			answer <- w.step(look)
		}
	}
}

// step loads once and tells what there is to tell.
func (w *Watcher[T]) step(look *look) Update[T] {
	look.at(settings.Files(w.options...))
	old := w.current.Load()
	u := Update[T]{Old: old, New: old}
	stats := *w.stats.Load()
	before := stats.LastError
	stats.Loads++
	stats.LastLoad = time.Now()
	next, err := settings.Load(w.defaults, w.options...)
	if err != nil {
		u.Err = err
		stats.Failures++
		stats.LastError = err.Error()
	} else {
		stats.LastError = ""
		if u.Changes = settings.Diff(*old, next); len(u.Changes) > 0 {
			u.New = &next
			stats.Changed++
			w.current.Store(&next)
		}
	}
	w.stats.Store(&stats)
	if w.notify != nil && (len(u.Changes) > 0 || stats.LastError != before) {
		w.notify(u)
	}
	return u
}
