package logger

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// source draws attributes from a fuzzer's bytes.
type source struct{ b []byte }

func (s *source) next() int {
	if len(s.b) == 0 {
		return 0
	}
	c := s.b[0]
	s.b = s.b[1:]
	return int(c)
}

func (s *source) str() string {
	n := s.next()
	if n >= 250 {
		return strings.Repeat(string([]byte{byte(s.next()), byte(s.next())}), (n-249)*2000)
	}
	n = min(n%24, len(s.b))
	v := string(s.b[:n])
	s.b = s.b[n:]
	return v
}

func (s *source) key() string {
	keys := []string{"a", "b", "a", "time", "msg", "message", "level", "service", "job_id", "severity", "truncated", "password",
		"logging.googleapis.com/trace", "source", "", "fields.msg", "logger", "file", "stack_trace"}
	if n := s.next(); n%3 != 0 {
		return keys[n%len(keys)]
	}
	return s.str()
}

func (s *source) attrs(depth int) []any {
	var out []any
	for range s.next() % 6 {
		out = append(out, s.attr(depth))
	}
	return out
}

func (s *source) attr(depth int) slog.Attr {
	k := s.key()
	switch s.next() % 18 {
	case 0:
		return slog.Int(k, s.next())
	case 1:
		return slog.Float64(k, math.Float64frombits(uint64(s.next())<<56|uint64(s.next())<<40))
	case 2:
		return slog.Any(k, []float64{math.Inf(1)}[:s.next()%2])
	case 3:
		return slog.Time(k, time.Unix(int64(s.next())<<30, 0))
	case 4:
		return slog.Any(k, errors.New(s.str()))
	case 5:
		return slog.Any(k, map[string]any{s.str(): s.str(), "password": s.str()})
	case 6:
		return slog.Any(k, json.RawMessage(s.str()))
	case 7:
		return slog.Any(k, valuer{[]string{"panic", "endless", ""}[s.next()%3]})
	case 8:
		return slog.Any(k, Labels{s.str(): s.str()})
	case 9:
		return slog.Any(k, HTTPRequest{URL: s.str(), Latency: time.Duration(s.next())})
	case 10:
		return slog.Any(k, badMarshaler{})
	case 11:
		return slog.Any(k, nil)
	case 12:
		return slog.Any(k, []any{s.str(), s.next(), nil})
	case 13:
		return slog.Any(k, Stack(s.str()))
	case 14, 15:
		if depth < 5 {
			return slog.Group(k, s.attrs(depth+1)...)
		}
	case 16:
		return Name(s.str())
	}
	return slog.String(k, s.str())
}

// FuzzLine: whatever is logged, every line is one JSON object on one line, no
// longer than it may be, with no key twice, and with its service and job.
func FuzzLine(f *testing.F) {
	f.Add([]byte("seed"))
	f.Add([]byte{3, 1, 14, 3, 1, 0, 1, 1, 0, 2, 1, 0, 3, 255, 'a', 'b', 9, 9, 9})
	f.Add([]byte{5, 4, 14, 5, 0, 14, 4, 17, 251, 200, 201, 3, 13, 252, '"', '\\', 5, 5, 6, 6, 7, 7, 8, 8, 9, 9})
	f.Add(bytes.Repeat([]byte{5, 7, 13, 250, '\n', 0x80}, 40))
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, format := range []Format{FormatJSON, FormatStackdriver, FormatText} {
			s := source{b: data}
			out := &sink{}
			l, err := New("mailer", Settings{Format: format, MaxLine: 1024 << (s.next() % 4), Redact: []string{"Password"}, Source: []string{"on", "off"}[s.next()%2]}, WithOutput(out))
			if err != nil {
				t.Fatal(err)
			}
			log := l.Slog()
			for range s.next() % 4 {
				if s.next()%2 == 0 {
					log = log.With(s.attrs(0)...)
				} else {
					log = log.WithGroup(s.str())
				}
			}
			for range 2 {
				log.Log(jobCtx("j7"), []slog.Level{slog.LevelInfo, slog.LevelError}[s.next()%2], s.str(), s.attrs(0)...)
			}
			checkLines(t, format, l.outputs[0].form.maxLine, out.String())
		}
	})
}

func checkLines(t *testing.T, format Format, maxLine int, out string) {
	t.Helper()
	lines := strings.SplitAfter(out, "\n")
	if len(lines) != 3 || lines[2] != "" {
		t.Fatalf("%s: two records gave %d lines: %q", format, len(lines)-1, out)
	}
	for _, line := range lines[:2] {
		if len(line) > maxLine {
			t.Fatalf("%s: a line has %d bytes, it may have %d", format, len(line), maxLine)
		}
		if format == FormatText {
			for _, r := range line[:len(line)-1] {
				if r < ' ' || r == 0x7f || r == utf8.RuneError && !strings.Contains(line, "\ufffd") {
					t.Fatalf("text: %q holds %q", line, r)
				}
			}
			continue
		}
		if !utf8.ValidString(line) {
			t.Fatalf("%s: not UTF-8: %q", format, line)
		}
		if err := uniqueKeys(line); err != nil {
			t.Fatalf("%s: %v in %s", format, err, line)
		}
		var m map[string]any
		_ = json.Unmarshal([]byte(line), &m)
		for k, want := range map[string]any{"service": "mailer", "job_id": "j7", "job_name": "name of j7", "exec_id": "e-j7", "attempt": 2.0} {
			if m[k] != want {
				t.Fatalf("%s: %s is %v in %s", format, k, m[k], line)
			}
		}
		if strings.Contains(strings.ToLower(line), `"password":`) && !strings.Contains(line, redacted) {
			t.Fatalf("%s: not redacted: %s", format, line)
		}
	}
}

// uniqueKeys reads one JSON object and reports a key that stands twice in one
// object. Values that users give as JSON of their own are theirs.
func uniqueKeys(line string) error {
	d := json.NewDecoder(strings.NewReader(line))
	d.UseNumber()
	tok, err := d.Token()
	if err != nil || tok != json.Delim('{') {
		return fmt.Errorf("begins with %v, %w", tok, err)
	}
	if err := uniqueIn(d); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return fmt.Errorf("more after the object: %w", err)
	}
	return nil
}

func uniqueIn(d *json.Decoder) error {
	seen := map[string]bool{}
	for d.More() {
		tok, err := d.Token()
		if err != nil {
			return err
		}
		k := tok.(string)
		if seen[k] {
			return fmt.Errorf("key %q stands twice", k)
		}
		seen[k] = true
		if err := uniqueValue(d); err != nil {
			return err
		}
	}
	_, err := d.Token()
	return err
}

func uniqueValue(d *json.Decoder) error {
	tok, err := d.Token()
	if err != nil {
		return err
	}
	switch tok {
	case json.Delim('{'):
		return uniqueIn(d)
	case json.Delim('['):
		for d.More() {
			if err := uniqueValue(d); err != nil {
				return err
			}
		}
		_, err = d.Token()
	}
	return err
}
