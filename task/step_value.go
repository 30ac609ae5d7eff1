package task

import (
	"encoding/json"
	"math"
	"reflect"
	"strings"
	"sync"
	"unicode/utf8"
)

// A step's result is JSON in the journal. Where a type's values are equal to what JSON
// keeps of them, and cannot be changed by who else holds them, the journal keeps the value
// itself, and encodes it when a copy of the message needs it: at a failure, a drain, a
// look from outside. Most executions end without one.

// shape is what is known of a type: whether its values can be kept so, and what of one has
// to be looked at.
type shape struct {
	same   bool    // JSON gives back an equal value, which nothing else can change
	bytes  int     // of its JSON at most, without the bytes of its texts
	texts  [][]int // paths of strings, which are to be UTF-8
	floats [][]int // paths of floats, which are to be finite
}

// shapes has a shape for each type of a result, which are as many as the code has.
var shapes sync.Map // by reflect.Type

func shapeOf(t reflect.Type) *shape {
	if s, ok := shapes.Load(t); ok {
		return s.(*shape)
	}
	s := &shape{same: true}
	s.add(t, nil)
	known, _ := shapes.LoadOrStore(t, s)
	return known.(*shape)
}

// hooks are the interfaces by which a type decides about its JSON.
var hooks = []reflect.Type{reflect.TypeFor[json.Marshaler](), reflect.TypeFor[json.Unmarshaler](),
	reflect.TypeFor[interface{ MarshalText() ([]byte, error) }](),
	reflect.TypeFor[interface{ UnmarshalText([]byte) error }]()}

// add takes in what t has at path.
func (s *shape) add(t reflect.Type, path []int) {
	for _, hook := range hooks {
		if t.Implements(hook) || reflect.PointerTo(t).Implements(hook) {
			s.same = false
			return
		}
	}
	switch k := t.Kind(); {
	case t == reflect.TypeFor[json.Number]():
		s.same = false
	case k == reflect.Struct:
		s.fields(t, path)
	case k == reflect.String:
		s.texts, s.bytes = append(s.texts, path), s.bytes+2
	case k == reflect.Float32, k == reflect.Float64:
		s.floats, s.bytes = append(s.floats, path), s.bytes+32
	case k >= reflect.Bool && k <= reflect.Uint64:
		s.bytes += 20
	default: // a slice, a map, a pointer: others may change it
		s.same = false
	}
}

// fields takes in those of a struct. What JSON would leave out, or read back into another
// field, is not for it.
func (s *shape) fields(t reflect.Type, path []int) {
	names := map[string]bool{}
	s.bytes += 2
	for i := range t.NumField() {
		f := t.Field(i)
		name, option, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "" {
			name = f.Name
		}
		folded := strings.ToLower(name)
		// omitempty leaves the zero out, which is what comes back; of floats -0, too.
		k := f.Type.Kind()
		kept := option == "" || option == "omitempty" && k != reflect.Float32 && k != reflect.Float64
		if !kept || !f.IsExported() || f.Anonymous || name == "-" || !plainName(name) || names[folded] {
			s.same = false
			return
		}
		names[folded] = true
		s.bytes += len(name) + 4
		s.add(f.Type, append(path[:len(path):len(path)], i))
	}
}

// plainName reports whether a name of a field is one that JSON takes as it is.
func plainName(name string) bool {
	for i := range len(name) {
		c := name[i]
		if c != '_' && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			return false
		}
	}
	return true
}

// bound returns the number of bytes that the JSON of a value has at most, and whether the
// value is equal to what JSON keeps of it. v is a pointer to the value.
func (s *shape) bound(v any) (bytes int, same bool) {
	if !s.same {
		return 0, false
	}
	bytes = s.bytes
	if len(s.texts)+len(s.floats) == 0 {
		return bytes, true
	}
	value := reflect.ValueOf(v).Elem()
	for _, path := range s.texts {
		text := at(value, path).String()
		if !utf8.ValidString(text) { // JSON would change it
			return 0, false
		}
		bytes += 6 * len(text) // as \u003c is written
	}
	for _, path := range s.floats {
		if f := at(value, path).Float(); math.IsNaN(f) || math.IsInf(f, 0) {
			return 0, false
		}
	}
	return bytes, true
}

func at(v reflect.Value, path []int) reflect.Value {
	for _, i := range path {
		v = v.Field(i)
	}
	return v
}

// settle makes JSON of the value that an entry holds, if it does.
func (e *entry) settle() {
	if e.value == nil {
		return
	}
	e.result, e.value, e.bound = marshalPlain(e.value), nil, 0
}

// marshalPlain is json.Marshal for a value that [shape.bound] has found to work.
func marshalPlain(v any) json.RawMessage {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return data
}

// settle makes JSON of all values. The caller holds the lock.
func (j *Journal) settle() {
	if !j.lazy {
		return
	}
	j.lazy, j.bytes = false, 0
	settle := func(l *lane) {
		for i := range l.done {
			l.done[i].settle()
			j.bytes += l.done[i].size()
		}
	}
	settle(&j.main)
	for _, l := range j.lanes {
		settle(l)
	}
}
