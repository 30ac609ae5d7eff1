package console

import (
	"slices"
	"strings"
	"sync/atomic"

	"github.com/sambatech/chassis/admin"
	"github.com/sambatech/chassis/settings"
)

// Source is where the settings of the service were loaded from.
type Source interface {
	// Tree returns what the sources say now; nil if the program has made the settings.
	Tree() *settings.Tree
	// Explain lists what the sources say, and what is in force. It is called under
	// [Config.Applying].
	Explain() (said, inForce []settings.Entry)
	// Owns reports whether a setting is the chassis'.
	Owns(path string) bool
}

// origins lists each setting's value and where it came from.
type origins struct {
	cfg  *Config
	list atomic.Pointer[[]admin.Setting] // made at the start and when settings change
	of   atomic.Pointer[settings.Tree]   // that list was made of
}

// Settings returns the settings in force.
func (o *origins) Settings() []admin.Setting {
	if o.of.Load() != o.cfg.Source.Tree() && o.cfg.Applying.TryLock() { // lines have moved, and no value has changed
		o.find()
		o.cfg.Applying.Unlock()
	}
	return slices.Clone(*o.list.Load())
}

// find lists the service's own settings in force and then the chassis', each
// with its origin: where the sources give this value, or where they gave it
// when it was put in force, if they give another now. What no source gives and
// is no default was given by the program or, if all were loaded, by the
// chassis, like a name made of the service's.
func (o *origins) find() {
	otherwise := "the chassis"
	tree := o.cfg.Source.Tree()
	if tree == nil {
		otherwise = "the program"
	}
	o.of.Store(tree)
	said, inForce := o.cfg.Source.Explain()
	from := make(map[string]settings.Entry, len(said))
	for _, e := range said {
		from[e.Path] = e
	}
	before := map[string]admin.Setting{}
	if list := o.list.Load(); list != nil {
		for _, s := range *list {
			before[s.Key] = s
		}
	}
	var list, chassis []admin.Setting
	for _, e := range inForce {
		s := admin.Setting{Key: e.Path, Value: e.Value, From: otherwise, Doc: e.Doc, Secret: e.Secret}
		if given, known := from[e.Path]; known && given.Value == e.Value {
			s.From = originOf(given)
		} else if was, known := before[e.Path]; known && was.Value == e.Value && was.From != otherwise {
			s.From = strings.TrimSuffix(was.From, untilRestart) + untilRestart
		}
		if o.cfg.Source.Owns(e.Path) {
			chassis = append(chassis, s)
		} else {
			list = append(list, s)
		}
	}
	list = append(list, chassis...)
	o.list.Store(&list)
}

// untilRestart marks the origin of a value that the sources no longer give.
const untilRestart = ", until a restart: it has changed since"

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
