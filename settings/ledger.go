package settings

import (
	"slices"
	"sync"

	"github.com/sambatech/chassis/internal/spelling"
)

// DefaultEntry is the entry that Ledger.Default gives.
const DefaultEntry = "default"

// Ledger is several sets of values by name, like those of a service's customers, one of them called "default".
// The zero value is empty and ready. It may be used from any number of goroutines; an entry is replaced as a
// whole, so that nothing of an earlier load is left in it.
type Ledger struct{ entries sync.Map } // string → *Values

// Load reads the sources into the entry, in place of what it held. If they have a mistake the entry stays what it
// was.
func (l *Ledger) Load(entry string, layout *Layout, options ...Option) error {
	v, err := layout.Load(options...)
	if err != nil {
		return err
	}
	l.Put(entry, v)
	return nil
}

// Put sets an entry.
func (l *Ledger) Put(entry string, v *Values) { l.entries.Store(entry, v) }

// Entry returns an entry's values. The error suggests the nearest name there is.
func (l *Ledger) Entry(name string) (*Values, error) {
	if v, ok := l.entries.Load(name); ok {
		return v.(*Values), nil
	}
	return nil, &Error{Kind: KindUnknown, Path: name,
		Problem: "there is no entry of that name", Suggestion: spelling.Nearest(name, l.Names())}
}

// Default returns the entry "default".
func (l *Ledger) Default() (*Values, error) { return l.Entry(DefaultEntry) }

// Names lists the entries in order.
func (l *Ledger) Names() (names []string) {
	l.entries.Range(func(name, _ any) bool {
		names = append(names, name.(string))
		return true
	})
	slices.Sort(names)
	return names
}
