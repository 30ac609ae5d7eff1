package wire

import (
	"errors"
	"reflect"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/sambatech/chassis/queue/localsqs/internal/engine"
)

// Decode reads a request. Members that it does not know are passed over, as
// AWS does; an empty body is an empty object.
func Decode(body []byte, into any) *engine.Error {
	if len(body) == 0 {
		return nil
	}
	if err := json.Unmarshal(body, into, jsontext.AllowDuplicateNames(true)); err != nil {
		return &engine.Error{Shape: "SerializationException", Code: "SerializationException", Message: reason(err),
			Status: 400}
	}
	return nil
}

// WithoutID reports whether the nth entry of a batch has no member Id, as
// opposed to an empty one. body must have been decoded already.
func WithoutID(body []byte, n int) bool {
	var batch struct{ Entries []map[string]jsontext.Value }
	if json.Unmarshal(body, &batch, jsontext.AllowDuplicateNames(true)) != nil || n >= len(batch.Entries) {
		return false
	}
	id := batch.Entries[n]["Id"]
	return len(id) == 0 || id.Kind() == 'n'
}

// reason says what is wrong, in AWS's words where it has them, and where.
func reason(err error) string {
	var at *json.SemanticError
	if !errors.As(err, &at) {
		return "The request is not JSON: " + err.Error()
	}
	where := "."
	if at.JSONPointer != "" {
		where = " (" + string(at.JSONPointer) + ")."
	}
	switch number := at.GoType == reflect.TypeFor[int64](); {
	case at.JSONKind == '{':
		return "Start of structure or map found where not expected" + where
	case at.JSONKind == '[':
		return "Start of list found where not expected" + where
	case number && at.JSONKind == '"':
		return "STRING_VALUE can not be converted to an Integer" + where
	case number:
		return "NUMBER_VALUE can not be converted to an Integer" + where
	case at.GoType == reflect.TypeFor[[]byte]():
		return "A binary value must be Base64" + where
	}
	return "A JSON " + at.JSONKind.String() + " stands where another value should" + where
}
