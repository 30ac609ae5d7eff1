package chassis

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/sambatech/chassis/internal/life"
	"github.com/sambatech/chassis/settings"
	"github.com/sambatech/chassis/settings/watch"
)

// source is where a system's settings were loaded from. explain and took are
// called under System.applying.
type source interface {
	// tree is what the sources say; nil if the program has made the settings.
	tree() *settings.Tree
	typ() string
	// explain lists what the sources say, and what is in force.
	explain() (said, inForce []settings.Entry)
	// took notes the chassis' settings in force.
	took(Settings)
	// follow watches the sources until ctx ends; wait returns after that.
	follow(ctx context.Context, s *System) (wait func(), err error)
}

// loaded is what [Load] has read, and follows.
type loaded[T any] struct {
	defaults T
	sources  []settings.Option
	layout   *settings.Layout
	first    *settings.Tree // what the sources said then
	watcher  atomic.Pointer[watch.Watcher[T]]
	live     LiveSettings[T]
}

// LiveSettings is a service's own settings in force. It may be used from any
// number of goroutines.
type LiveSettings[T any] struct{ now atomic.Pointer[edition[T]] }

// edition is the settings between two changes.
type edition[T any] struct {
	value T
	next  chan struct{} // closed when there is another
}

// Live returns the settings in force of a system that was made with the option
// of [Load], for a service that looks at its own while it runs:
//
//	live := chassis.Live(sys, cfg)
//	...
//	batch := live.Get().Mail.Batch
//
// cfg is what Load has returned. Of a system that was made with [WithSettings],
// as in a test, the settings are cfg and never change. Live panics if the system
// was loaded with settings of another type.
func Live[T any](s *System, cfg T) *LiveSettings[T] {
	switch l := s.source.(type) {
	case *loaded[T]:
		return &l.live
	case inCode:
	default:
		panic(fmt.Sprintf("chassis: Live: the settings of service %q were loaded as %s, not as %T: give the option of chassis.Load[%T] to chassis.New", s.name, l.typ(), cfg, cfg))
	}
	l := &LiveSettings[T]{}
	l.set(cfg)
	return l
}

// Get returns the settings in force: one atomic load. What is tagged live is as
// the files and the environment say now; the rest is as it was when the system
// was made. The value must not be written.
func (l *LiveSettings[T]) Get() *T { return &l.now.Load().value }

// Changed returns a channel that is closed when the settings in force are no
// longer those that Get returned last. Ask for it before Get:
//
//	for {
//		changed := live.Changed()
//		pool.Resize(live.Get().Mail.Batch)
//		select {
//		case <-changed:
//		case <-ctx.Done():
//			return
//		}
//	}
func (l *LiveSettings[T]) Changed() <-chan struct{} { return l.now.Load().next }

func (l *LiveSettings[T]) set(value T) {
	old := l.now.Swap(&edition[T]{value: value, next: make(chan struct{})})
	if old != nil {
		close(old.next)
	}
}

func (l *loaded[T]) explain() (said, inForce []settings.Entry) {
	said, _ = l.layout.ExplainTree(l.tree()) // its mistakes were logged when it was loaded
	if now, err := settings.LayoutOf(*l.live.Get()); err == nil {
		inForce, _ = now.Explain()
	}
	return said, inForce
}

// tree is what the sources say.
func (l *loaded[T]) tree() *settings.Tree {
	if w := l.watcher.Load(); w != nil {
		return w.Tree()
	}
	return l.first
}

func (l *loaded[T]) typ() string { return reflect.TypeFor[T]().String() }

func (l *loaded[T]) took(ours Settings) {
	next := *l.live.Get()
	setPart(reflect.ValueOf(&next).Elem(), ours)
	l.live.set(next)
}

// follow implements source. What has changed since the program loaded the
// sources is the first update.
func (l *loaded[T]) follow(ctx context.Context, s *System) (func(), error) {
	if len(settings.Files(l.sources...)) == 0 {
		return func() {}, nil
	}
	w, err := watch.Follow(ctx, l.first, l.defaults, func(u watch.Update[T]) { l.update(ctx, s, u) }, l.sources...)
	if err != nil {
		return nil, err
	}
	l.watcher.Store(w)
	return w.Wait, nil
}

// update applies what has changed, or says why it does not.
func (l *loaded[T]) update(ctx context.Context, s *System, u watch.Update[T]) {
	log := s.Logger("chassis")
	var lost *watch.Lost
	switch {
	case errors.As(u.Err, &lost):
		log.Warn("a settings file is not whole: the settings in force stay", "error", u.Err)
		return
	case u.Err != nil:
		log.Error("the settings have a mistake: those in force stay", "error", u.Err)
		return
	case len(u.Changes) == 0:
		log.Info("the settings can be read again, and have not changed")
		return
	}
	ctx, cancel := context.WithTimeout(ctx, life.StopTimeout)
	defer cancel()
	s.applying.Lock()
	defer s.applying.Unlock()
	ours, _ := partOf(reflect.ValueOf(*u.New))
	changes, err := s.apply(ctx, ours)
	if err != nil && !errors.Is(err, ErrStopped) {
		log.Error("changed settings are not applied", "error", err)
	}
	if err != nil && len(changes) == 0 {
		return
	}
	own := l.own(s, *u.New)
	s.explainAgain()
	s.logChanges(own)
}

// own puts what is live of the service's own settings in force, and returns
// what differs.
func (l *loaded[T]) own(s *System, next T) []settings.Change {
	old := *l.live.Get()
	changes := slices.DeleteFunc(settings.Diff(old, next), func(c settings.Change) bool { return ourSections()[section(c.Path)] })
	if len(changes) > 0 {
		now := settings.Live(old, next)
		setPart(reflect.ValueOf(&now).Elem(), s.Settings())
		if len(settings.Diff(old, now)) > 0 {
			l.live.set(now)
		}
	}
	return changes
}

// ourSections are the top-level keys of the chassis.
func ourSections() map[string]bool {
	sections := map[string]bool{}
	for _, f := range reflect.VisibleFields(reflect.TypeFor[Settings]()) {
		sections[f.Tag.Get("key")] = true
	}
	return sections
}

// section is the top-level key that a setting is under.
func section(path string) string {
	name, _, _ := strings.Cut(path, ".")
	return name
}

// partOf is the chassis' part of a service's settings.
func partOf(v reflect.Value) (Settings, bool) {
	if part, ok := ourPart(v); ok {
		return part.Interface().(Settings), true
	}
	return Settings{}, false
}

// setPart puts the chassis' part into a service's settings.
func setPart(v reflect.Value, ours Settings) {
	if part, ok := ourPart(v); ok {
		part.Set(reflect.ValueOf(ours))
	}
}

func ourPart(v reflect.Value) (reflect.Value, bool) {
	if v.Type() == reflect.TypeFor[Settings]() {
		return v, true
	}
	for _, f := range reflect.VisibleFields(v.Type()) {
		if f.Anonymous && f.Type == reflect.TypeFor[Settings]() {
			return v.FieldByIndex(f.Index), true
		}
	}
	return reflect.Value{}, false
}

// inCode is the source of settings that the program has made.
type inCode struct{ s *System }

func (c inCode) explain() (said, inForce []settings.Entry) {
	if plain, err := settings.LayoutOf(DefaultSettings()); err == nil {
		said, _ = plain.Explain()
	}
	if now, err := settings.LayoutOf(c.s.Settings()); err == nil {
		inForce, _ = now.Explain()
	}
	return said, inForce
}

func (inCode) tree() *settings.Tree { return nil }
func (inCode) typ() string          { return reflect.TypeFor[Settings]().String() }
func (inCode) took(Settings)        {}

func (inCode) follow(context.Context, *System) (func(), error) { return func() {}, nil }

// follow applies what changes in the sources that the settings were loaded
// from, until the system stops. That it cannot be done is no reason not to serve.
func (s *System) follow() {
	ctx, end := context.WithCancel(context.Background())
	wait, err := s.source.follow(ctx, s)
	if err != nil {
		end()
		s.Logger("chassis").Warn("the settings are not watched: a change needs a restart", "error", err)
		return
	}
	s.unfollow = func(ctx context.Context) error {
		end()
		ended := make(chan struct{})
		go func() { wait(); close(ended) }()
		select {
		case <-ended:
			return nil
		case <-ctx.Done():
			return fmt.Errorf("the load that is under way did not end (does a Validate wait?): %w", ctx.Err())
		}
	}
}
