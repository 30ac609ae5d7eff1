package logger

import (
	"encoding/json"
	"log/slog"
	"reflect"
	"strings"
	"testing"
)

// Of two groups of one name, or two values without a key, the first was lost.
func TestGroupsOfOneNameBecomeOne(t *testing.T) {
	request := slog.Group("http", "method", "PATCH", "path", "/orders")
	for name, c := range map[string]struct {
		log  func(*slog.Logger)
		want string
	}{
		"With and call": {func(l *slog.Logger) { l.With(request).Info("m", slog.Group("http", "status", 418)) }, `{"http":{"method":"PATCH","path":"/orders","status":418}}`},
		"one call":      {func(l *slog.Logger) { l.Info("m", request, "a", 1, slog.Group("http", "status", 418), "b", 2) }, `{"a":1,"http":{"method":"PATCH","path":"/orders","status":418},"b":2}`},
		"WithGroup":     {func(l *slog.Logger) { l.With(request).WithGroup("http").Info("m", "status", 418) }, `{"http":{"method":"PATCH","path":"/orders","status":418}}`},
		"With twice":    {func(l *slog.Logger) { l.With(request).With(slog.Group("http", "status", 418)).Info("m", "b", 2) }, `{"http":{"method":"PATCH","path":"/orders","status":418},"b":2}`},
		"three": {func(l *slog.Logger) {
			l.Info("m", slog.Group("g", "a", 1), slog.Group("g", "b", 2), slog.Group("g", "c", 3))
		}, `{"g":{"a":1,"b":2,"c":3}}`},
		"a later field wins": {func(l *slog.Logger) { l.With(request).Info("m", slog.Group("http", "path", "/x", "q", "}{")) }, `{"http":{"method":"PATCH","path":"/x","q":"}{"}}`},
		"groups within": {func(l *slog.Logger) {
			l.With(slog.Group("a", slog.Group("b", "x", 1, "s", "},{\""))).Info("m", slog.Group("a", slog.Group("b", "y", 2)))
		}, `{"a":{"b":{"x":1,"s":"},{\"","y":2}}}`},
		"a value for a group": {func(l *slog.Logger) { l.With(request).Info("m", "http", 1) }, `{"http":1}`},
		"a group for a value": {func(l *slog.Logger) { l.With("http", 1).Info("m", request) }, `{"http":{"method":"PATCH","path":"/orders"}}`},
		"no keys":             {func(l *slog.Logger) { l.With([]any{7111}...).Info("m", []any{7222, 7333}...) }, `{"!BADKEY":7111,"!BADKEY2":7222,"!BADKEY3":7333}`},
	} {
		for _, form := range []Format{FormatJSON, FormatStackdriver} {
			out := &sink{}
			c.log(newLogger(t, Settings{Format: form, Source: "off"}, out).Slog())
			want := map[string]any{}
			if err := json.Unmarshal([]byte(c.want), &want); err != nil {
				t.Fatal(err)
			}
			got := map[string]any{}
			for k, v := range out.last(t) {
				if _, ok := want[k]; ok {
					got[k] = v
				}
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("%s, %s: %s, want %s", name, form, out, c.want)
			}
			if n := strings.Count(out.String(), `"http":`); n > 1 {
				t.Errorf("%s, %s: the key stands %d times: %s", name, form, n, out)
			}
		}
	}
	out := &sink{}
	newLogger(t, Settings{Format: FormatText}, out).Slog().WithGroup("g").Info("m", []any{7111, 7222}...)
	if s := out.String(); !strings.Contains(s, "g.!BADKEY=7111") || !strings.Contains(s, "g.!BADKEY2=7222") {
		t.Errorf("as text: %s", s)
	}
}
