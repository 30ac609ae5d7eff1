package watch

import (
	"cmp"
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/sambatech/chassis/settings"
)

// Part is the settings T of a program in force. A library owns the part P that is
// embedded in T. T may be P. The library decides by [Part.Set] what of
// its part is in force; what else is live in T follows the sources.
type Part[T, P any] struct {
	Live Live[T]

	defaults T
	sources  []settings.Option
	layout   *settings.Layout
	first    *settings.Tree // what the sources said at the start; nil: the program made the settings
	watcher  atomic.Pointer[Watcher[T]]

	mu      sync.Mutex
	secrets []string // paths of what was ever a secret in a store
}

// NewPart returns the settings value that tree gave. A nil tree means that the
// program made value, and that there is nothing to follow.
func NewPart[T, P any](tree *settings.Tree, defaults, value T, sources ...settings.Option) (*Part[T, P], error) {
	layout, err := settings.LayoutOf(defaults)
	if err != nil {
		return nil, err
	}
	if _, ok := PartOf[P](value); !ok {
		return nil, fmt.Errorf("watch: a %T does not embed %v", value, reflect.TypeFor[P]())
	}
	p := &Part[T, P]{defaults: defaults, sources: sources, layout: layout, first: tree}
	p.Live.set(value)
	if tree != nil {
		p.secrets = tree.Secrets()
	}
	return p, nil
}

// LoadPart reads settings with the part of a library in them. value is what was read,
// also with an error; own is the part. The error lists all mistakes.
func LoadPart[T, P any](defaults T, sources ...settings.Option) (value T, own P, p *Part[T, P], err error) {
	if _, err := settings.LayoutOf(defaults); err != nil {
		return defaults, own, nil, err
	}
	tree, err := settings.Open(sources...)
	value = defaults
	if err == nil {
		value, err = settings.Decode(tree, defaults)
	}
	if err != nil {
		_, all := settings.Load(defaults, sources...) // mistakes of the sources and of the values together
		return value, own, nil, cmp.Or(all, err)
	}
	own, ok := PartOf[P](value)
	if !ok {
		return value, own, nil, fmt.Errorf("a %T is no settings of a service: embed %v in it", value,
			reflect.TypeFor[P]())
	}
	p, err = NewPart[T, P](tree, defaults, value, sources...)
	return value, own, p, err
}

// Type returns the name of T.
func (p *Part[T, P]) Type() string { return reflect.TypeFor[T]().String() }

// Tree returns what the sources say, or nil if the program made the settings.
func (p *Part[T, P]) Tree() *settings.Tree {
	if w := p.watcher.Load(); w != nil {
		return w.Tree()
	}
	return p.first
}

// Explain lists what the sources say, and what is in force.
func (p *Part[T, P]) Explain() (said, inForce []settings.Entry) {
	if tree := p.Tree(); tree != nil {
		said, _ = p.layout.ExplainTree(tree) // its mistakes were logged when it was loaded
	} else {
		said, _ = p.layout.Explain()
	}
	if now, err := settings.LayoutOf(*p.Live.Get()); err == nil {
		inForce, _ = now.Explain()
	}
	return said, settings.HideEntries(inForce, p.hidden())
}

// Shown returns changes without what is a secret in a store.
func (p *Part[T, P]) Shown(changes []settings.Change) []settings.Change {
	return settings.HideChanges(changes, p.hidden())
}

func (p *Part[T, P]) hidden() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.secrets)
}

// learn adds secrets of a store.
func (p *Part[T, P]) learn(secrets []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range secrets {
		if !slices.Contains(p.secrets, s) {
			p.secrets = append(p.secrets, s)
		}
	}
}

// Owns reports whether the setting at path is in the part P: under a section that
// a key tag of P names.
func (p *Part[T, P]) Owns(path string) bool {
	section, _, _ := strings.Cut(path, ".")
	return slices.ContainsFunc(reflect.VisibleFields(reflect.TypeFor[P]()),
		func(f reflect.StructField) bool { return f.Tag.Get("key") == section })
}

// Set puts the part of the library in force. Calls of Set and of [Reload.TakeRest]
// must not overlap.
func (p *Part[T, P]) Set(part P) {
	next := *p.Live.Get()
	setPart(&next, part)
	p.Live.set(next)
}

// Source is a [Part] with settings of any type around it.
type Source[P any] interface {
	Type() string
	Tree() *settings.Tree
	Explain() (said, inForce []settings.Entry)
	Owns(path string) bool
	Shown([]settings.Change) []settings.Change
	Set(P)
	Follow(func(context.Context, Reload[P])) (stop func(context.Context) error, err error)
}

// LiveOf returns the settings in force of a source that was loaded as a T, or value,
// which never changes, if the program made the settings.
func LiveOf[T, P any](source Source[P], value T) (*Live[T], error) {
	if source.Tree() == nil {
		return NewLive(value), nil
	}
	p, ok := source.(*Part[T, P])
	if !ok {
		return nil, fmt.Errorf("the settings were loaded as %s, not as %T", source.Type(), value)
	}
	return &p.Live, nil
}

// Reload is a reload of the sources that changed a value or failed.
type Reload[P any] struct {
	Part    P                 // of the new settings
	Changes []settings.Change // of all settings; none after an error that is over
	Err     error             // why the settings in force stay, as in [Update]

	// TakeRest puts in force what is live outside the part, and returns what
	// differs there.
	TakeRest func() []settings.Change
}

// Follow watches the files and the stores of the sources and calls notify for each reload. What
// has changed since the start is the first one. The ctx of notify ends with stop.
// stop returns once no notify is under way, or with an error when its ctx ends.
func (p *Part[T, P]) Follow(notify func(context.Context, Reload[P])) (stop func(context.Context) error, err error) {
	if p.first == nil || len(settings.Files(p.sources...)) == 0 && len(settings.Stores(p.sources...)) == 0 {
		return func(context.Context) error { return nil }, nil
	}
	ctx, end := context.WithCancel(context.Background())
	w, err := Follow(ctx, p.first, p.defaults, func(u Update[T]) {
		p.learn(u.secrets)
		r := Reload[P]{Changes: u.Changes, Err: u.Err,
			TakeRest: func() []settings.Change { return p.takeRest(*u.New) }}
		r.Part, _ = PartOf[P](*u.New)
		notify(ctx, r)
	}, p.sources...)
	if err != nil {
		end()
		return nil, err
	}
	p.watcher.Store(w)
	return func(ctx context.Context) error {
		end()
		select {
		case <-w.done:
			return nil
		case <-ctx.Done():
			return fmt.Errorf("the load that is under way did not end (does a Validate wait?): %w", ctx.Err())
		}
	}, nil
}

func (p *Part[T, P]) takeRest(next T) []settings.Change {
	old := *p.Live.Get()
	changes := slices.DeleteFunc(settings.Diff(old, next), func(c settings.Change) bool { return p.Owns(c.Path) })
	if len(changes) == 0 {
		return nil
	}
	now := settings.Live(old, next)
	part, _ := PartOf[P](old)
	setPart(&now, part)
	if len(settings.Diff(old, now)) > 0 {
		p.Live.set(now)
	}
	return p.Shown(changes)
}

// PartOf returns the part P that is embedded in value, or value itself.
func PartOf[P, T any](value T) (part P, ok bool) {
	v, ok := partIn[P](reflect.ValueOf(&value).Elem())
	if ok {
		part = v.Interface().(P)
	}
	return part, ok
}

func setPart[T, P any](value *T, part P) {
	if v, ok := partIn[P](reflect.ValueOf(value).Elem()); ok {
		v.Set(reflect.ValueOf(part))
	}
}

func partIn[P any](v reflect.Value) (reflect.Value, bool) {
	part := reflect.TypeFor[P]()
	if v.Type() == part {
		return v, true
	}
	if v.Kind() != reflect.Struct {
		return reflect.Value{}, false
	}
	for _, f := range reflect.VisibleFields(v.Type()) {
		if f.Anonymous && f.IsExported() && f.Type == part {
			return v.FieldByIndex(f.Index), true
		}
	}
	return reflect.Value{}, false
}

// Fill returns value with its zeros replaced by those of defaults, so that a zero
// does not differ from its default. A bool stays as it is.
func Fill[T any](value, defaults T) T {
	fill(reflect.ValueOf(&value).Elem(), reflect.ValueOf(defaults))
	return value
}

func fill(v, def reflect.Value) {
	for i := range v.NumField() {
		switch f := v.Field(i); {
		case f.Kind() == reflect.Struct:
			fill(f, def.Field(i))
		case f.CanSet() && f.IsZero() && f.Kind() != reflect.Bool:
			f.Set(def.Field(i))
		}
	}
}
