package watch

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/sambatech/chassis/settings"
)

// times are how long the watcher waits for what.
type times struct {
	// settle is how long files must not have changed before they are read. An editor's save is several steps, and
	// a copy comes in pieces.
	settle time.Duration
	// rest is how long, where they hold less than before. It is longer than the pauses of a slow copy (TCP's
	// first retransmissions take 1 to 3 s), and short for an operator who has taken a line out.
	rest time.Duration
	// again is how often files are looked at without an event. The kubelet itself syncs a ConfigMap once a minute
	// by default, so this adds little.
	again time.Duration
}

var usual = times{settle: time.Second, rest: 5 * time.Second, again: 10 * time.Second}

// Update is a reload that there is something to say about.
type Update[T any] struct {
	Old     *T                `json:"-"`
	New     *T                `json:"-"`                 // Old where Err is set
	Changes []settings.Change `json:"changes,omitempty"` // in the layout's order; none where an error is over
	Err     error             `json:"-"`                 // why the old value stays: mistakes, a [*Lost] or an [*Away]

	secrets []string // paths of what is a secret in a store, in Old or New
}

// NeedsRestart lists the changes of settings that are not live.
func (u Update[T]) NeedsRestart() []settings.Change {
	return slices.DeleteFunc(slices.Clone(u.Changes), func(c settings.Change) bool { return c.Live })
}

// Stats is what a watcher did so far.
type Stats struct {
	Loads     int       `json:"loads"`                // the first one included
	Changed   int       `json:"changed"`              // loads that gave another value
	Failures  int       `json:"failures"`             // loads that left the old value: mistakes, half files
	LastError string    `json:"last_error,omitempty"` // of the last load; empty if it was good
	LastLoad  time.Time `json:"last_load"`
}

// Watcher keeps the current value of a layout.
type Watcher[T any] struct {
	defaults T
	options  []settings.Option
	notify   func(Update[T])
	times    times
	current  atomic.Pointer[T]
	stats    atomic.Pointer[Stats]
	tree     atomic.Pointer[settings.Tree] // that current was read from
	reload   chan chan Update[T]
	done     chan struct{}

	// What follows is the goroutine's own.
	look    *look
	held    contents     // when the current value was read
	changed time.Time    // when the files were last seen to change
	quiet   *time.Timer  // until they are to be read
	last    string       // the situation that notify was last called for
	away    map[int]bool // stores that cannot be read
}

// Start loads the sources as [settings.Load] does and then watches their files. notify, which may be nil, is
// called for each reload that gives another value, for each new error, and once an error is over. An error of the
// first load is returned and nothing is started. The watcher ends with ctx.
func Start[T any](ctx context.Context, defaults T, notify func(Update[T]), options ...settings.Option) (*Watcher[T],
	error) {
	return start(ctx, usual, nil, defaults, notify, options)
}

// Follow is Start for a program that has read its sources before, into tree and by the same options: what is in
// force is what tree gives, and what has changed since is the first update.
func Follow[T any](ctx context.Context, tree *settings.Tree, defaults T, notify func(Update[T]),
	options ...settings.Option) (*Watcher[T], error) {
	return start(ctx, usual, tree, defaults, notify, options)
}

func start[T any](ctx context.Context, t times, tree *settings.Tree, defaults T, notify func(Update[T]),
	options []settings.Option) (*Watcher[T], error) {
	w := &Watcher[T]{defaults: defaults, notify: notify, times: t, reload: make(chan chan Update[T]),
		done: make(chan struct{}), away: map[int]bool{}}
	w.options = append(slices.Clone(options), settings.Context(ctx))
	var fs *fsnotify.Watcher // nil: there are stores alone
	var err error
	if stores := settings.Stores(options...); len(stores) == 0 || len(settings.Files(options...)) > 0 {
		if fs, err = fsnotify.NewWatcher(); err != nil {
			return nil, fmt.Errorf("watch: the system gives no watcher "+
				"(is fs.inotify.max_user_instances used up?): %w", err)
		}
	}
	// The files are watched before they are read, so that no change falls between.
	w.look = newLook(fs)
	w.look.at(settings.Files(options...))
	var first T
	again := tree != nil
	if again {
		first, err = settings.Decode(tree, defaults)
	} else {
		first, tree, err = w.load()
	}
	if err != nil {
		closeAll(fs) // the load's error is what counts
		return nil, err
	}
	w.held = newContents(w.look.files, tree)
	w.tree.Store(tree)
	w.current.Store(&first)
	w.stats.Store(&Stats{Loads: 1, LastLoad: time.Now()})
	w.quiet, w.changed = time.NewTimer(t.settle), time.Now()
	if !again {
		w.quiet.Stop() // the files were read just now
	}
	go w.run(ctx, fs)
	return w, nil
}

// load reads the sources. Its error lists all mistakes of the sources and of what they hold.
func (w *Watcher[T]) load() (value T, tree *settings.Tree, err error) {
	tree, err = settings.Open(w.options...)
	if err == nil {
		value, err = settings.Decode(tree, w.defaults)
	}
	if err != nil {
		if _, all := settings.Load(w.defaults, w.options...); all != nil {
			err = all
		}
	}
	return value, tree, err
}

// Current returns the value that was loaded last. It must not be written.
func (w *Watcher[T]) Current() *T { return w.current.Load() }

// Tree returns the sources that the current value was read from, for [settings.Layout.ExplainTree]. It is a later
// one where they have changed and the value has not.
func (w *Watcher[T]) Tree() *settings.Tree { return w.tree.Load() }

// Stats returns the counts so far.
func (w *Watcher[T]) Stats() Stats { return *w.stats.Load() }

// Wait returns once the watcher has ended, which it does with its ctx.
func (w *Watcher[T]) Wait() { <-w.done }

// Reload loads at once and gives what came of it, after notify was called if there was something to say. It does
// not wait for the files to be at rest, but what no longer gives what it gave has to be. Its error is that of
// ctx, or that the watcher has ended; that of the sources is in the update.
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

func (w *Watcher[T]) run(ctx context.Context, fs *fsnotify.Watcher) {
	defer close(w.done)
	heard, wait := follow(ctx, settings.Stores(w.options...))
	defer wait()
	defer closeAll(fs)
	var events chan fsnotify.Event
	var lost chan error
	if fs != nil {
		events, lost = fs.Events, fs.Errors
	}
	again := time.NewTicker(w.times.again)
	defer again.Stop()
	defer w.quiet.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case e, ok := <-events:
			if ok && w.look.concerns(e) {
				w.stirred()
			}
		case _, ok := <-lost: // events were lost
			if !ok {
				return
			}
			w.stirred()
		case <-w.quiet.C:
			w.step(false)
		case <-again.C:
			if w.look.changed(settings.Files(w.options...)) {
				w.stirred()
			} else {
				w.look.watch() // and no more: what changes from here on is not seen yet
			}
		case n := <-heard:
			w.hear(n)
		case answer := <-w.reload:
			answer <- w.step(true)
		}
	}
}

// closeAll closes fs if there is one. Nothing can be done about an error any more.
func closeAll(fs *fsnotify.Watcher) {
	if fs != nil {
		_ = fs.Close()
	}
}

// stirred notes that files have changed: they are read once they rest.
func (w *Watcher[T]) stirred() {
	w.look.at(settings.Files(w.options...))
	w.changed = time.Now()
	w.quiet.Reset(w.times.settle)
}

// step loads once, and calls notify if there is something to say. Files that change under the load are left for
// later, unless the load was ordered.
func (w *Watcher[T]) step(ordered bool) Update[T] {
	if w.look.changed(settings.Files(w.options...)) {
		w.stirred()
		if !ordered {
			return Update[T]{}
		}
	}
	next, tree, err := w.load()
	if w.look.changed(settings.Files(w.options...)) {
		w.stirred()
		if !ordered {
			return Update[T]{}
		}
	}
	old := w.current.Load()
	u := Update[T]{Old: old, New: old, Err: err}
	stats := *w.stats.Load()
	stats.Loads++
	stats.LastLoad = time.Now()
	var seen contents
	if err == nil {
		seen = newContents(maps.Clone(w.look.files), tree)
		u.Err = w.wait(seen, ordered)
	}
	switch {
	case errors.Is(u.Err, errDoubtful):
		u.Err = nil
		return u
	case u.Err != nil:
		stats.Failures++
		stats.LastError = u.Err.Error()
	default:
		stats.LastError = ""
		w.held = seen
		u.secrets = append(w.tree.Swap(tree).Secrets(), tree.Secrets()...)
		if u.Changes = settings.HideChanges(settings.Diff(*old, next), u.secrets); len(u.Changes) > 0 {
			u.New = &next
			stats.Changed++
			w.current.Store(&next)
		}
	}
	w.stats.Store(&stats)
	before := w.last
	w.last = situation(u.Err)
	if w.notify != nil && (len(u.Changes) > 0 || w.last != before) {
		w.notify(u)
	}
	return u
}

var errDoubtful = errors.New("watch: not at rest yet")

// wait says why what was seen is not to be in force yet, and has it looked at again when it may be.
func (w *Watcher[T]) wait(seen contents, ordered bool) error {
	verdict, lost := judge(w.held, seen)
	left := w.times.rest - time.Since(w.changed)
	switch {
	case verdict == whole, verdict == doubtful && ordered, verdict != gone && left <= 0:
		return nil
	case verdict == gone:
		return lost
	}
	w.quiet.Reset(left)
	if verdict == doubtful {
		return errDoubtful
	}
	lost.Rest = w.times.rest
	return lost
}
