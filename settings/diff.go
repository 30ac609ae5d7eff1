package settings

import (
	"reflect"
	"slices"
	"strconv"
)

// Change is one setting that differs between two values of a layout.
type Change struct {
	Path string `json:"path"`
	Old  string `json:"old"`  // a secret's is [Mask], or "" if it was not set
	New  string `json:"new"`  // likewise
	Live bool   `json:"live"` // the layout's live tag: it may be applied without a restart
}

// Diff lists what differs between two values of one layout, in its order. Maps and lists of sections are compared
// entry by entry. A field behind a live section is live too. T must be a struct that can be loaded; for another
// Diff returns nothing.
func Diff[T any](old, new T) []Change {
	c, err := codecOf(reflect.TypeFor[T]())
	if err != nil || c.kind != structCodec {
		return nil
	}
	d := &differ{}
	d.section(c, reflect.ValueOf(&old).Elem(), reflect.ValueOf(&new).Elem(), nil, false)
	return d.out
}

type differ struct{ out []Change }

func (d *differ) section(c *codec, old, new reflect.Value, path []string, live bool) {
	for i := range c.fields {
		f := &c.fields[i]
		a, b, here := old.FieldByIndex(f.index), new.FieldByIndex(f.index), append(slices.Clone(path), f.key)
		if was, is := c.meansZero(old, f), c.meansZero(new, f); was != is && a.IsZero() && b.IsZero() {
			change := Change{Path: joinPath(here), Live: live || f.live}
			if was {
				change.Old = show(a, f.secret)
			} else {
				change.New = show(b, f.secret)
			}
			d.out = append(d.out, change)
			continue
		}
		d.value(f.codec, a, b, here, live || f.live, f.secret)
	}
}

func (d *differ) value(c *codec, old, new reflect.Value, path []string, live, hide bool) {
	switch {
	case c.kind == pointerCodec && !old.IsNil() && !new.IsNil():
		if c.elem.kind == scalarCodec && flagText(old) == flagText(new) {
			return // a regexp or URL that was read again is another pointer
		}
		d.value(c.elem, old.Elem(), new.Elem(), path, live, hide)
		return
	case c.kind == pointerCodec && old.IsNil() != new.IsNil() && c.within() == structCodec:
		d.whole(c, old, path, live, hide, gone)
		d.whole(c, new, path, live, hide, added)
		return
	case c.kind == structCodec:
		d.section(c, old, new, path, live)
		return
	case c.kind == listCodec && c.elem.kind == structCodec && old.Len() == new.Len():
		for i := range old.Len() {
			d.value(c.elem, old.Index(i), new.Index(i), append(slices.Clone(path), strconv.Itoa(i)), live, hide)
		}
		return
	case c.kind == mapCodec:
		d.entries(c, old, new, path, live, hide)
		return
	case reflect.DeepEqual(old.Interface(), new.Interface()):
		return
	case c.kind == listCodec && old.Len() == 0 && new.Len() == 0:
		return
	}
	hide = hide || c.hasSecret
	d.out = append(d.out, Change{Path: joinPath(path), Old: show(old, hide), New: show(new, hide), Live: live})
}

func (d *differ) entries(c *codec, old, new reflect.Value, path []string, live, hide bool) {
	seen := map[string]bool{}
	for _, m := range []reflect.Value{old, new} {
		for _, k := range sortedKeys(m) {
			name := showValue(k)
			if seen[name] {
				continue
			}
			seen[name] = true
			here := append(slices.Clone(path), name)
			a, b := old.MapIndex(k), new.MapIndex(k)
			switch {
			case a.IsValid() && b.IsValid():
				d.value(c.elem, a, b, here, live, hide)
			case a.IsValid():
				d.whole(c.elem, a, here, live, hide, gone)
			default:
				d.whole(c.elem, b, here, live, hide, added)
			}
		}
	}
}

func gone(text string) Change  { return Change{Old: text} }
func added(text string) Change { return Change{New: text} }

// whole lists what is given by a value that is there in the old or the new settings alone: of a section the
// fields that are not zero, each by its name. They are as live as the map or pointer that it comes to.
func (d *differ) whole(c *codec, v reflect.Value, path []string, live, hide bool, side func(string) Change) {
	for c.kind == pointerCodec && c.within() == structCodec {
		if v.IsNil() {
			return
		}
		c, v = c.elem, v.Elem()
	}
	put := func(text string) {
		change := side(text)
		change.Path, change.Live = joinPath(path), live
		d.out = append(d.out, change)
	}
	if c.kind != structCodec {
		put(show(v, hide || c.hasSecret))
		return
	}
	before := len(d.out)
	for i := range c.fields {
		f := &c.fields[i]
		if fv := v.FieldByIndex(f.index); !fv.IsZero() || c.meansZero(v, f) {
			d.whole(f.codec, fv, append(slices.Clone(path), f.key), live, hide || f.secret, side)
		}
	}
	if len(d.out) == before {
		put("{}")
	}
}
