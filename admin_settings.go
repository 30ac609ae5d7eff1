package chassis

import (
	"errors"
	"slices"

	"github.com/sambatech/chassis/admin"
	"github.com/sambatech/chassis/settings"
)

// origins tells each setting's value and where it came from.
type origins struct {
	sys  *System
	list []admin.Setting // made at the start, when the sources are what they were for New
}

// Settings implements admin.Explained.
func (o *origins) Settings() []admin.Setting { return slices.Clone(o.list) }

// find puts a value down to a source if that gives this very value, to the
// defaults if it is one of them, else to the program.
func (o *origins) find() {
	now, err := settings.LayoutOf(o.sys.settings)
	plain, err2 := settings.LayoutOf(DefaultSettings())
	if err := errors.Join(err, err2); err != nil {
		o.sys.Logger("admin").Error("the settings cannot be explained", "error", err)
		return
	}
	sources, _ := plain.Explain(append(Sources(), settings.Shared())...) // what is wrong in them New has told
	from := map[string]settings.Entry{}
	for _, e := range sources {
		from[e.Path] = e
	}
	inForce, _ := now.Explain()
	for _, e := range inForce {
		s := admin.Setting{Key: e.Path, Value: e.Value, From: "the program", Doc: e.Doc, Secret: e.Secret}
		switch given, ok := from[e.Path]; {
		case ok && given.Value == e.Value && !given.Default:
			s.From = given.Source.String()
		case ok && given.Value == e.Value:
			s.From = "default"
		}
		o.list = append(o.list, s)
	}
}
