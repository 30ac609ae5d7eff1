package clip

import (
	"errors"
	"strings"
	"testing"
	"time"
)

// A handler that panicked with a map that holds itself ended the process: the
// stack was full before the record of the panic was made. See
// open-telemetry/opentelemetry-go-contrib#9044 and sirupsen/logrus#1062.
func TestThePrintOfAPanicFilledTheStack(t *testing.T) {
	loop := map[string]any{}
	loop["self"] = []any{loop}
	list := []any{nil}
	list[0] = list
	type node struct{ Next *node }
	ring := &node{}
	ring.Next = ring
	for _, v := range []any{loop, list, ring, struct{ Of any }{loop}, make([]int, 1<<20)} {
		if got := Panic(v); len(got) > 200 || !strings.Contains(got, "too large") {
			t.Errorf("%T: %.200q", v, got)
		}
	}
	for _, c := range []struct {
		v    any
		want string
	}{
		{"text", "text"}, {errors.New("an error"), "an error"}, {time.Second, "1s"}, {7, "7"}, {nil, "<nil>"},
		{struct{ A, B int }{1, 2}, "{1 2}"}, {[]string{"a"}, "[a]"}, {(*time.Time)(nil), "<nil>"},
	} {
		if got := Panic(c.v); got != c.want {
			t.Errorf("%T: %q, want %q", c.v, got, c.want)
		}
	}
}
