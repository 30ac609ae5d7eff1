package settings

import "reflect"

// Live returns old with what of new may change without a restart: the fields that are tagged live, and all within
// one. Entries of a map are compared by their keys; one that only one side has stays as it is in old, unless the
// map itself is live. T is a struct that can be loaded; of another old comes back. Neither argument is written.
func Live[T any](old, new T) T {
	c, err := codecOf(reflect.TypeFor[T]())
	if err != nil || c.kind != structCodec {
		return old
	}
	out := old
	takeLive(c, reflect.ValueOf(&out).Elem(), reflect.ValueOf(&new).Elem())
	return out
}

// takeLive sets the live parts of into, which is the caller's own but for what is behind its maps, lists and
// pointers: of those it makes copies.
func takeLive(c *codec, into, from reflect.Value) {
	switch c.kind {
	case structCodec:
		for i := range c.fields {
			f := &c.fields[i]
			if f.live {
				into.FieldByIndex(f.index).Set(from.FieldByIndex(f.index))
			} else {
				takeLive(f.codec, into.FieldByIndex(f.index), from.FieldByIndex(f.index))
			}
		}
	case pointerCodec:
		if into.IsNil() || from.IsNil() {
			return
		}
		own := reflect.New(c.elem.typ)
		own.Elem().Set(into.Elem())
		takeLive(c.elem, own.Elem(), from.Elem())
		into.Set(own)
	case listCodec:
		if into.Len() != from.Len() || c.elem.within() != structCodec {
			return
		}
		own := reflect.New(c.typ).Elem()
		if c.typ.Kind() == reflect.Slice {
			own.Set(reflect.MakeSlice(c.typ, into.Len(), into.Len()))
		}
		reflect.Copy(own, into)
		for i := range own.Len() {
			takeLive(c.elem, own.Index(i), from.Index(i))
		}
		into.Set(own)
	case mapCodec:
		if into.Len() == 0 || c.elem.within() != structCodec {
			return
		}
		own := reflect.MakeMapWithSize(c.typ, into.Len())
		for _, k := range into.MapKeys() {
			elem := reflect.New(c.elem.typ).Elem()
			elem.Set(into.MapIndex(k))
			if other := from.MapIndex(k); other.IsValid() {
				takeLive(c.elem, elem, other)
			}
			own.SetMapIndex(k, elem)
		}
		into.Set(own)
	}
}
