package logger

import (
	"encoding"
	"encoding/json"
	"errors"
	"log/slog"
	"reflect"
	"sync"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	jsonv1 "github.com/go-json-experiment/json/v1"
)

// asLogged is encoding/json's form of a value, in which each slog.LogValuer is what
// it gives for the log, and each error that has no JSON of its own is its text.
// encoding/json writes their exported fields: for most errors {}, and of a value
// that hides a secret by LogValue the secret.
var asLogged = jsonv2.JoinOptions(
	jsonv1.DefaultOptionsV1(), jsontext.EscapeForHTML(false), jsontext.EscapeForJS(false),
	jsonv2.WithMarshalers(jsonv2.JoinMarshalers(
		jsonv2.MarshalToFunc(writeLogValuer), jsonv2.MarshalToFunc(writeError))))

func writeError(e *jsontext.Encoder, err error) error {
	switch err.(type) {
	case json.Marshaler, encoding.TextMarshaler, jsonv2.MarshalerTo:
		return errors.ErrUnsupported // it has a JSON of its own
	}
	if isNilPointer(err) {
		return e.WriteToken(jsontext.Null)
	}
	return e.WriteToken(jsontext.String(errorText(err)))
}

// maxResolved is how many bytes of one value are written before the LogValuers in
// it are looked at no more: one may give itself, twice.
const maxResolved = 64 << 10

func writeLogValuer(e *jsontext.Encoder, v slog.LogValuer) error {
	switch {
	case isNilPointer(v):
		return e.WriteToken(jsontext.Null)
	case e.StackDepth() > maxNest || e.OutputOffset() > maxResolved:
		return e.WriteToken(jsontext.String("!ERROR: values are nested too deeply"))
	}
	return writeValue(e, v.LogValue)
}

// writeValue writes what get returns, resolved; Resolve catches its panics.
func writeValue(e *jsontext.Encoder, get func() slog.Value) error {
	v := slog.AnyValue(valuerFunc(get)).Resolve()
	if v.Kind() != slog.KindGroup {
		return jsonv2.MarshalEncode(e, v.Any())
	}
	if err := e.WriteToken(jsontext.BeginObject); err != nil {
		return err
	}
	for _, a := range v.Group() {
		if err := e.WriteToken(jsontext.String(a.Key)); err != nil {
			return err
		}
		if err := writeValue(e, func() slog.Value { return a.Value }); err != nil {
			return err
		}
	}
	return e.WriteToken(jsontext.EndObject)
}

// valuerFunc is a function as a slog.LogValuer.
type valuerFunc func() slog.Value

func (f valuerFunc) LogValue() slog.Value { return f() }

func isNilPointer(v any) bool {
	r := reflect.ValueOf(v)
	return r.Kind() == reflect.Pointer && r.IsNil()
}

// logsOtherwise reports whether an error or a slog.LogValuer may be within a value of
// the type. It is asked for each value that is logged and is neither itself.
func logsOtherwise(t reflect.Type) bool {
	if t == nil {
		return false
	}
	if known, ok := otherwise.Load(t); ok {
		return known.(bool)
	}
	holds := lookWithin(t, map[reflect.Type]bool{})
	otherwise.Store(t, holds)
	return holds
}

var (
	otherwise  sync.Map // reflect.Type -> bool
	errorType  = reflect.TypeFor[error]()
	valuerType = reflect.TypeFor[slog.LogValuer]()
)

func lookWithin(t reflect.Type, seen map[reflect.Type]bool) bool {
	if seen[t] {
		return false // a recursive type: what it holds is found where it began
	}
	seen[t] = true
	for _, own := range []reflect.Type{errorType, valuerType} {
		if t.Implements(own) || reflect.PointerTo(t).Implements(own) {
			return true
		}
	}
	switch t.Kind() {
	case reflect.Interface:
		return true // whatever it holds
	case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
		return lookWithin(t.Elem(), seen)
	case reflect.Struct:
		for i := range t.NumField() {
			if f := t.Field(i); (f.IsExported() || f.Anonymous) && lookWithin(f.Type, seen) {
				return true
			}
		}
	}
	return false
}
