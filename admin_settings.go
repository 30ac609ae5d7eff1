package chassis

import (
	"errors"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/sambatech/chassis/admin"
	"github.com/sambatech/chassis/settings"
)

// origins tells each setting's value and where it came from.
type origins struct {
	sys    *System
	loaded func() ([]settings.Entry, error) // of [Load]; nil if the program gave the settings
	list   atomic.Pointer[[]admin.Setting]  // made at the start and when settings change
}

// Settings implements admin.Explained.
func (o *origins) Settings() []admin.Setting { return slices.Clone(*o.list.Load()) }

// find lists the service's own settings and then the chassis' in force, with
// what they were loaded from. What is neither loaded nor a default was given by the
// program, or, if all were loaded, by the chassis, such as a name made of the
// service's.
func (o *origins) find() {
	now, err := settings.LayoutOf(o.sys.Settings())
	plain, err2 := settings.LayoutOf(DefaultSettings())
	if err := errors.Join(err, err2); err != nil {
		o.sys.Logger("admin").Error("the settings cannot be explained", "error", err)
		return
	}
	load, otherwise := o.loaded, "the chassis"
	if load == nil {
		load, otherwise = func() ([]settings.Entry, error) { return plain.Explain() }, "the program"
	}
	loaded, _ := load() // what is wrong in them New has told
	from := make(map[string]settings.Entry, len(loaded))
	for _, e := range loaded {
		from[e.Path] = e
	}
	inForce, _ := now.Explain()
	sections := map[string]bool{}
	var list []admin.Setting
	add := func(e settings.Entry, from string) {
		list = append(list, admin.Setting{Key: e.Path, Value: e.Value, From: from, Doc: e.Doc, Secret: e.Secret})
	}
	for _, e := range inForce {
		sections[section(e)] = true
	}
	for _, e := range loaded {
		if !sections[section(e)] {
			add(e, originOf(e))
		}
	}
	for _, e := range inForce {
		if given, known := from[e.Path]; known && given.Value == e.Value {
			add(e, originOf(given))
			continue
		}
		add(e, otherwise)
	}
	o.list.Store(&list)
}

// section is the top-level key that a setting is under.
func section(e settings.Entry) string {
	name, _, _ := strings.Cut(e.Path, ".")
	return name
}

// originOf is where a value was given: file, line and column, or a variable.
func originOf(e settings.Entry) string {
	switch {
	case e.Default:
		return "default"
	case e.Alias != "":
		return e.Source.String() + " (alias " + e.Alias + ", at " + e.Target.String() + ")"
	}
	return e.Source.String()
}
