package logger

import (
	"encoding"
	"encoding/json"
	"errors"
	"reflect"
	"sync"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	jsonv1 "github.com/go-json-experiment/json/v1"
)

// withErrorTexts is encoding/json's form of a value, in which each error that
// has no JSON of its own is its text. encoding/json writes the exported fields
// of an error, for most errors {}.
var withErrorTexts = jsonv2.JoinOptions(
	jsonv1.DefaultOptionsV1(), jsontext.EscapeForHTML(false), jsontext.EscapeForJS(false),
	jsonv2.WithMarshalers(jsonv2.MarshalToFunc(func(e *jsontext.Encoder, err error) error {
		switch err.(type) {
		case json.Marshaler, encoding.TextMarshaler, jsonv2.MarshalerTo:
			return errors.ErrUnsupported // it has a JSON of its own
		}
		if v := reflect.ValueOf(err); v.Kind() == reflect.Pointer && v.IsNil() {
			return e.WriteToken(jsontext.Null)
		}
		return e.WriteToken(jsontext.String(errorText(err)))
	})))

// holdsErrors reports whether an error may be within a value of the type. It
// is asked for each value that is logged and no error itself.
func holdsErrors(t reflect.Type) bool {
	if t == nil {
		return false
	}
	if known, ok := errorHolders.Load(t); ok {
		return known.(bool)
	}
	holds := lookForErrors(t, map[reflect.Type]bool{})
	errorHolders.Store(t, holds)
	return holds
}

var (
	errorHolders sync.Map // reflect.Type -> bool
	errorType    = reflect.TypeFor[error]()
)

func lookForErrors(t reflect.Type, seen map[reflect.Type]bool) bool {
	if seen[t] {
		return false // a recursive type: what it holds is found where it began
	}
	seen[t] = true
	if t.Implements(errorType) || reflect.PointerTo(t).Implements(errorType) {
		return true
	}
	switch t.Kind() {
	case reflect.Interface:
		return true // whatever it holds
	case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
		return lookForErrors(t.Elem(), seen)
	case reflect.Struct:
		for i := range t.NumField() {
			if f := t.Field(i); (f.IsExported() || f.Anonymous) && lookForErrors(f.Type, seen) {
				return true
			}
		}
	}
	return false
}
