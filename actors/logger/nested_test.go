package logger

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"testing"
	"time"
)

type withJSON struct{ Code int }

func (withJSON) Error() string                  { return "text" }
func (e withJSON) MarshalJSON() ([]byte, error) { return fmt.Appendf(nil, `{"code":%d}`, e.Code), nil }

type byPointer struct{ Code int }

func (e *byPointer) Error() string { return fmt.Sprint("code ", e.Code) }

type result struct {
	Name  string `json:"name,omitempty"`
	Err   error  `json:"err"`
	Inner *result
	err   error
}

// An error within a value was {}: encoding/json writes its exported fields.
func TestErrorsWithinValuesAreTheirTexts(t *testing.T) {
	refused := errors.New("<refused>")
	for name, c := range map[string]struct {
		value any
		want  string
	}{
		"list":             {[]error{refused, fmt.Errorf("unknown host: %w", refused)}, `["<refused>","unknown host: <refused>"]`},
		"list of anything": {[]any{refused, 1, nil, map[string]any{"e": refused}}, `["<refused>",1,null,{"e":"<refused>"}]`},
		"array":            {[1]error{refused}, `["<refused>"]`},
		"map":              {map[string]error{"b": refused, "a": nil}, `{"a":null,"b":"<refused>"}`},
		"struct":           {result{Err: refused, Inner: &result{Name: "x", Err: refused}, err: refused}, `{"err":"<refused>","Inner":{"name":"x","err":"<refused>","Inner":null}}`},
		"pointer":          {&[]error{refused}, `["<refused>"]`},
		"joined":           {[]error{errors.Join(refused, refused)}, `["<refused>\n<refused>"]`},
		"its own JSON":     {[]error{withJSON{7}}, `[{"code":7}]`},
		"by pointer":       {[]error{&byPointer{7}}, `["code 7"]`},
		"elements":         {[]*byPointer{{7}, nil}, `["code 7",null]`},
		"nil pointer":      {[]error{(*byPointer)(nil)}, `[null]`},
		"no errors":        {[]any{time.Second, []byte("ab"), "<&>", "\u2028", [2]byte{1, 2}}, `[1000000000,"YWI=","<&>","\u2028",[1,2]]`},
	} {
		for _, form := range []Format{FormatJSON, FormatStackdriver} {
			out := &sink{}
			newLogger(t, Settings{Format: form}, out).Slog().Info("m", "v", c.value)
			var want any
			if err := json.Unmarshal([]byte(c.want), &want); err != nil {
				t.Fatal(err)
			}
			if got := out.last(t)["v"]; !reflect.DeepEqual(got, want) {
				t.Errorf("%s, %s: %s, want %s", name, form, out, c.want)
			}
		}
	}
}

// login hides its password from logs, and from nothing else.
type login struct{ Name, Password string }

func (l login) LogValue() slog.Value {
	return slog.GroupValue(slog.String("name", l.Name), slog.Any("why", errors.New("refused")))
}

type byReceiver struct{ Password string }

func (*byReceiver) LogValue() slog.Value { return slog.DurationValue(time.Second) }

type panicking struct{}

func (panicking) LogValue() slog.Value { panic("no value") }

// endless gives itself, twice.
type endless struct{}

func (endless) LogValue() slog.Value { return slog.AnyValue([]any{endless{}, endless{}}) }

// A LogValuer within a list, a map or a struct was written with its fields, the
// password among them (the same as platform-engineering-labs/formae#585).
func TestALogValuerWithinAValueShowedItsSecret(t *testing.T) {
	const want = `{"name":"ann","why":"refused"}`
	ann := login{"ann", "hunter2"}
	for name, c := range map[string]struct {
		value any
		want  string
	}{
		"list":             {[]login{ann}, "[" + want + "]"},
		"list of pointers": {[]*login{&ann, nil}, "[" + want + ",null]"},
		"list of anything": {[]any{ann, 1, map[string]any{"a": ann}}, "[" + want + `,1,{"a":` + want + "}]"},
		"map":              {map[string]login{"a": ann}, `{"a":` + want + "}"},
		"struct":           {struct{ Who login }{ann}, `{"Who":` + want + "}"},
		"by pointer":       {[]byReceiver{{"hunter2"}}, `[1000000000]`},
		"itself":           {byReceiver{"hunter2"}, `1000000000`},
		"within a result":  {[]slog.LogValuer{valuerFunc(func() slog.Value { return slog.AnyValue([]login{ann}) })}, "[[" + want + "]]"},
	} {
		for _, form := range []Format{FormatJSON, FormatStackdriver, FormatText} {
			out := &sink{}
			newLogger(t, Settings{Format: form}, out).Slog().Info("m", "v", c.value)
			if strings.Contains(out.String(), "hunter2") {
				t.Errorf("%s, %s: the password is shown: %s", name, form, out)
			}
			if form == FormatText {
				continue
			}
			var want any
			if err := json.Unmarshal([]byte(c.want), &want); err != nil {
				t.Fatal(err)
			}
			if got := out.last(t)["v"]; !reflect.DeepEqual(got, want) {
				t.Errorf("%s, %s: %s, want %s", name, form, out, c.want)
			}
		}
	}
	out := &sink{}
	log := newLogger(t, Settings{}, out).Slog()
	log.Info("m", "v", []any{panicking{}, 1})
	if !strings.Contains(out.String(), "panicked") {
		t.Errorf("a panic: %s", out)
	}
	log.Info("m", "v", []any{endless{}})
	if lines := out.lines(t); len(lines) != 2 {
		t.Errorf("one without an end: %d lines", len(lines))
	}
}

func TestLogsOtherwise(t *testing.T) {
	type recursive struct {
		Next *recursive
		All  []recursive
	}
	for _, c := range []struct {
		v    any
		want bool
	}{
		{[]string{}, false}, {map[string]int{}, false}, {time.Time{}, false}, {recursive{}, false}, {struct{ err error }{}, false},
		{[]error{}, true}, {[]login{}, true}, {map[string]*byReceiver{}, true}, {map[string]any{}, true}, {result{}, true}, {[]byPointer{}, true}, {[][]*byPointer{}, true},
	} {
		if got := logsOtherwise(reflect.TypeOf(c.v)); got != c.want {
			t.Errorf("%T: %v", c.v, got)
		}
	}
}
