package wire

import (
	"errors"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/sambatech/chassis/localsqs/internal/engine"
)

// Decode reads a request. Members that it does not know are passed over, as
// AWS does; an empty body is an empty object.
func Decode(body []byte, into any) *engine.Error {
	if len(body) == 0 {
		return nil
	}
	if err := json.Unmarshal(body, into, jsontext.AllowDuplicateNames(true)); err != nil {
		return &engine.Error{Shape: "SerializationException", Code: "SerializationException",
			Message: "The request is not what this operation takes: " + reason(err), Status: 400}
	}
	return nil
}

// reason says where and why without naming types of Go.
func reason(err error) string {
	var at *json.SemanticError
	if errors.As(err, &at) {
		text := "member " + string(at.JSONPointer) + " cannot be a JSON " + at.JSONKind.String()
		if at.JSONPointer == "" {
			text = "a JSON " + at.JSONKind.String() + " where an object should be"
		}
		if at.Err != nil {
			text += " (" + at.Err.Error() + ")"
		}
		return text
	}
	return err.Error()
}
