package logger

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/sambatech/chassis/task"
)

// valuer panics, or never ends.
type valuer struct{ kind string }

func (v valuer) LogValue() slog.Value {
	switch v.kind {
	case "panic":
		panic("valuer's own")
	case "endless":
		return slog.AnyValue(v)
	}
	return slog.GroupValue(slog.Int("a", 1), slog.Any("inner", valuer{}))
}

type badMarshaler struct{}

func (badMarshaler) MarshalJSON() ([]byte, error) { panic("marshaler's own") }

type nilError struct{ msg string }

func (e *nilError) Error() string { return e.msg }

type node struct {
	Name string
	Next *node
}

func TestValues(t *testing.T) {
	loop := &node{Name: "a"}
	loop.Next = loop
	cyclic := map[string]any{}
	cyclic["self"] = cyclic
	at := time.Date(2026, 2, 3, 4, 5, 6, 7, time.FixedZone("x", 3600))
	rawError := fmt.Sprintf(`"!ERROR: %T: …`, json.RawMessage{}) // its type has another name from Go 1.27 on
	for _, c := range []struct {
		in   any
		json string // what stands in the line; a prefix if it ends in …
		text string // the same in the text form
	}{
		{nil, `null`, `null`},
		{"a\"b\\c\n\t\r\x00\u2028é\xff", `"a\"b\\c\n\t\r\u0000\u2028é�"`, `"a\"b\\c\n\t\r\x00\u2028é\xff"`},
		{"", `""`, `""`},
		{math.NaN(), `"NaN"`, `"NaN"`},
		{math.Inf(1), `"+Inf"`, `"+Inf"`},
		{math.Inf(-1), `"-Inf"`, `"-Inf"`},
		{0.1, `0.1`, `0.1`},
		{-2.5, `-2.5`, `-2.5`},
		{1e21, `1e+21`, `1e+21`},
		{int64(math.MinInt64), `-9223372036854775808`, `-9223372036854775808`},
		{uint64(math.MaxUint64), `18446744073709551615`, `18446744073709551615`},
		{true, `true`, `true`},
		{1500 * time.Millisecond, `1500000000`, `1.5s`},
		{at, `"2026-02-03T04:05:06.000000007+01:00"`, `2026-02-03T04:05:06.000000007+01:00`},
		{errors.New("bad"), `"bad"`, `bad`},
		{(*nilError)(nil), `"\u003cnil\u003e"`, `<nil>`},
		{json.RawMessage("{\n \"a\" : 1 }"), `{"a":1}`, `"{\"a\":1}"`},
		{json.RawMessage("{"), rawError, rawError},
		{badMarshaler{}, `"!PANIC: logger.badMarshaler: marshaler's own"`, `"!PANIC: logger.badMarshaler: marshaler's own"`},
		{make(chan int), `"!ERROR: chan int: …`, `"!ERROR: chan int: …`},
		{loop, `"!ERROR: *logger.node: …`, `"!ERROR: *logger.node: …`},
		{cyclic, `"!ERROR: map[string]interface {}: …`, `"!ERROR: map[string]interface {}: …`},
		{map[string]int{"b": 1, "a": 2}, `{"a":2,"b":1}`, `"{\"a\":2,\"b\":1}"`},
		{[]byte("hi"), `"aGk="`, `hi`},
		{net.IPv4(192, 0, 2, 1), `"192.0.2.1"`, `192.0.2.1`},
		{"<a>&b", `"<a>&b"`, `<a>&b`},
		{struct{ H string }{"<&>"}, `{"H":"<&>"}`, `"{\"H\":\"<&>\"}"`},
		{valuer{"panic"}, `"LogValue panicked…`, `"LogValue panicked…`},
		{valuer{"endless"}, `"LogValue called too many times…`, `"LogValue called too many times…`},
	} {
		want := strings.ReplaceAll(strings.ReplaceAll(c.json, `\u003c`, "<"), `\u003e`, ">")
		for _, form := range []struct {
			format Format
			want   string
		}{{FormatJSON, `"v":` + want}, {FormatStackdriver, `"v":` + want}, {FormatText, " v=" + c.text}} {
			out := &sink{}
			l := newLogger(t, Settings{Format: form.format}, out)
			l.Slog().Info("m", "v", c.in)
			line := out.String()
			if form.format == FormatText && !utf8.ValidString(line) {
				t.Errorf("%v: not UTF-8: %q", c.in, line)
			}
			want, open := strings.CutSuffix(form.want, "…")
			if !open && form.format != FormatText {
				want += "}"
			}
			if !strings.Contains(line, want) {
				t.Errorf("%s: %T %v:\nwant %s\nin   %s", form.format, c.in, c.in, want, line)
			}
			if form.format != FormatText {
				out.last(t)
			}
		}
	}
}

// twice gives a group that holds itself two times over.
type twice struct{}

func (v twice) LogValue() slog.Value {
	return slog.GroupValue(slog.Any("a", v), slog.Any("b", v), slog.Any("", v))
}

func TestGroupThatHoldsItselfEnds(t *testing.T) {
	for _, format := range []Format{FormatJSON, FormatText} {
		out := &sink{}
		l := newLogger(t, Settings{Format: format}, out)
		l.Slog().Info("m", "v", twice{}, "after", 1)
		if line := out.String(); !strings.Contains(line, "nested too deeply") || len(line) > defaultMaxLine {
			t.Errorf("%d bytes: %.200s", len(line), line)
		}
	}
}

func TestNestedValuerBecomesGroup(t *testing.T) {
	out := &sink{}
	l := newLogger(t, Settings{}, out)
	done := make(chan struct{})
	go func() {
		defer close(done)
		l.Slog().Info("m", "v", slog.GroupValue(slog.Int("a", 1), slog.Any("err", errors.New("x"))), slog.Group("", slog.Int("inline", 1)))
	}()
	<-done
	m := out.last(t)
	if m["v"].(map[string]any)["err"] != "x" || m["inline"] != 1.0 {
		t.Errorf("%v", m)
	}
}

func TestAppendStringIsEncodingJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.OneOf(rapid.String(), rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) }),
			rapid.StringMatching(`[ -~]{0,40}["\\\x00-\x1f]?[ -~]{0,20}`)).Draw(t, "s")
		var buf bytes.Buffer
		e := json.NewEncoder(&buf)
		e.SetEscapeHTML(false)
		_ = e.Encode(s)
		var want, got string
		line := appendString(nil, s)
		if err := json.Unmarshal(line, &got); err != nil {
			t.Fatalf("%q gives %s: %v", s, line, err)
		}
		_ = json.Unmarshal(buf.Bytes(), &want)
		if got != want {
			t.Fatalf("%q gives %s", s, line)
		}
	})
}

func TestAppendFloatIsShortest(t *testing.T) {
	check := func(t interface{ Fatalf(string, ...any) }, f float64) {
		want, err := json.Marshal(f)
		if err != nil {
			return
		}
		got := string(appendFloat(nil, f))
		if g, _ := strconv.ParseFloat(got, 64); g != f || len(got) > len(want)+1 {
			t.Fatalf("%v gives %s, want %s", f, got, want)
		}
	}
	for _, f := range []float64{0, 1, -1, 0.1, 0.3, 1.1, 2.675, 1234567.8901, 1e10, 9999999999.9999, 0.0001, 0.00005, 0.00004999, 5e-324, math.MaxFloat64} {
		check(t, f)
		check(t, -f)
	}
	rapid.Check(t, func(t *rapid.T) {
		check(t, rapid.Float64().Draw(t, "f"))
		check(t, float64(rapid.Int64Range(-1e12, 1e12).Draw(t, "i"))/1e4)
		check(t, math.Nextafter(float64(rapid.Int64Range(-1e12, 1e12).Draw(t, "j"))/1e4, 0))
	})
}

func TestAppendTimeIsRFC3339(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		at := time.Unix(rapid.Int64Range(-62167219200, 253402300799).Draw(t, "s"), rapid.Int64Range(0, 999999999).Draw(t, "ns"))
		if got, want := string(appendTime(nil, at)), at.UTC().Format("2006-01-02T15:04:05.000000000Z"); got != want {
			t.Fatalf("got %s, want %s", got, want)
		}
		// The same second again, and the next, from what is remembered.
		e := &enc{}
		for _, next := range []time.Time{at, at.Add(time.Nanosecond), at.Add(time.Second), at, time.Unix(0, 5)} {
			e.b = e.b[:0]
			if e.stamp(next); string(e.b) != string(appendTime(nil, next)) {
				t.Fatalf("got %s, want %s", e.b, appendTime(nil, next))
			}
		}
	})
	if got := string(appendTime(nil, time.Date(12345, 1, 1, 0, 0, 0, 0, time.UTC))); !strings.HasPrefix(got, "12345") {
		t.Errorf("the year 12345 is %s", got)
	}
}

// TestNoAllocation: a call with up to five attributes makes no garbage.
func TestNoAllocation(t *testing.T) {
	for _, format := range []Format{FormatJSON, FormatStackdriver, FormatText} {
		for _, source := range []string{"off", "on"} {
			out := &discard{}
			l := newLogger(t, Settings{Format: format, Source: source}, out)
			start(t, l)
			log := l.Named("actors/mail").With("a", 1)
			ctx := jobCtx("j")
			n := testing.AllocsPerRun(2000, func() {
				log.LogAttrs(ctx, slog.LevelInfo, "request was handled",
					slog.String("method", "POST"), slog.Int("status", 201), slog.Float64("ratio", 0.8125),
					slog.Duration("elapsed", 12345*time.Microsecond), slog.Bool("ok", true))
			})
			if n >= 1 {
				t.Errorf("%s, source %s: %v allocations", format, source, n)
			}
		}
	}
}

type discard struct{}

func (*discard) Write(b []byte) (int, error) { return len(b), nil }

// TestMillionCallsWithDifferentJobs: no id ever stands in another call's
// record. It is a million of them with CHASSIS_SCALE=full, else a fifth.
func TestMillionCallsWithDifferentJobs(t *testing.T) {
	total := 200_000
	switch {
	case os.Getenv("CHASSIS_SCALE") == "full":
		total = 1_000_000
	case testing.Short() || raceEnabled:
		total = 100_000
	}
	out := &jobChecker{}
	l := newLogger(t, Settings{}, out)
	start(t, l)
	const callers = 50
	var wg sync.WaitGroup
	for c := range callers {
		wg.Go(func() {
			log := l.Slog().With("caller", c)
			for i := range total / callers / 2 {
				id := strconv.Itoa(c) + "-" + strconv.Itoa(i)
				ctx := task.WithInfo(context.Background(), &task.Info{JobID: id, JobName: id, ExecID: id, Task: id})
				log.InfoContext(ctx, "m", "want", id)
				if i%2 == 0 {
					log.InfoContext(ctx, "m", "want", id)
				} else {
					log.Info("m", "want", "unknown")
				}
			}
		})
	}
	wg.Wait()
	flush(t, l)
	if out.lines != total || len(out.wrong) > 0 {
		t.Errorf("%d of %d records, wrong ones: %q", out.lines, total, out.wrong)
	}
}

// jobChecker compares the ids of each line with what its call wanted.
type jobChecker struct {
	lines int
	wrong []string
}

func (j *jobChecker) Write(b []byte) (int, error) {
	for _, line := range bytes.SplitAfter(b, []byte{'\n'}) {
		if len(line) == 0 {
			continue
		}
		j.lines++
		_, want, _ := bytes.Cut(line, []byte(`"want":"`))
		want, _, _ = bytes.Cut(want, []byte{'"'})
		ok := bytes.Contains(line, fmt.Appendf(nil, `"job_id":"%s","job_name":"%s"`, want, want))
		if string(want) != task.Unknown {
			ok = ok && bytes.Contains(line, fmt.Appendf(nil, `"exec_id":"%s","task":"%s"`, want, want))
		} else {
			ok = ok && !bytes.Contains(line, []byte(`"exec_id"`))
		}
		if !ok && len(j.wrong) < 5 {
			j.wrong = append(j.wrong, string(line))
		}
	}
	return len(b), nil
}

// encoding/json passes the bytes of a RawMessage on, whatever they are.
func TestRawJSONThatIsNoUTF8(t *testing.T) {
	out := &sink{}
	l := newLogger(t, Settings{}, out)
	l.Slog().Info("m", "raw", json.RawMessage("{\"a\":\"x\xffy\"}"))
	if got := out.String(); !utf8.ValidString(got) || !strings.Contains(got, "x\uFFFDy") {
		t.Errorf("%q", got)
	}
}
