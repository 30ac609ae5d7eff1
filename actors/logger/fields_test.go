package logger

import (
	"reflect"
	"testing"
)

// A pointer to a request was a plain field, which Cloud Logging does not read.
func TestFieldsByPointerAreThoseByValue(t *testing.T) {
	request, labels, operation, stack := HTTPRequest{Method: "GET", URL: "/x", Status: 200}, Labels{"tenant": "a"}, Operation{ID: "import-7"}, Stack("goroutine 1 [running]:")
	for _, form := range []Format{FormatJSON, FormatStackdriver} {
		value, pointer, none := &sink{}, &sink{}, &sink{}
		newLogger(t, Settings{Format: form, Source: "off"}, value).Slog().Info("m", "r", request, "l", labels, "o", operation, "s", stack)
		newLogger(t, Settings{Format: form, Source: "off"}, pointer).Slog().Info("m", "r", &request, "l", &labels, "o", &operation, "s", &stack)
		newLogger(t, Settings{Format: form, Source: "off"}, none).Slog().Info("m", "r", (*HTTPRequest)(nil), "l", (*Labels)(nil), "o", (*Operation)(nil), "s", (*Stack)(nil))
		a, b := value.last(t), pointer.last(t)
		for _, k := range []string{"time", "timestamp", "logging.googleapis.com/insertId"} {
			delete(a, k)
			delete(b, k)
		}
		if !reflect.DeepEqual(a, b) {
			t.Errorf("%s: by value %s, by pointer %s", form, value, pointer)
		}
		for _, k := range []string{"r", "l", "o", "s"} {
			if v := none.last(t)[k]; v != nil {
				t.Errorf("%s: a nil pointer is %v", form, v)
			}
		}
	}
}
