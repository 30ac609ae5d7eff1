package chassistest

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"sync"
	"time"
)

// logBuffer is the log's output; safe from all goroutines.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// Record is one record of the log.
type Record struct {
	Time    time.Time
	Level   string         // as the log writes it: DEBUG, INFO, …
	Message string         // msg
	Fields  map[string]any // everything on the record, as encoding/json reads it: service, job_id, logger, …
}

// Logs returns all that was logged so far. An output that was replaced by
// Options leaves nothing to read here; another format than JSON fails the test.
func (s *System) Logs() []Record {
	s.t.Helper()
	if err := s.Log().Flush(context.WithoutCancel(s.t.Context())); err != nil {
		s.t.Errorf("chassistest: flush the log: %v", err)
	}
	var records []Record
	for line := range strings.Lines(s.log.String()) {
		var r Record
		if err := json.Unmarshal([]byte(line), &r.Fields); err != nil {
			s.t.Errorf("chassistest: a line of the log that is no JSON object: %v: %q", err, line)
			continue
		}
		r.Message, _ = r.Fields["msg"].(string)
		r.Level, _ = r.Fields["level"].(string)
		if at, ok := r.Fields["time"].(string); ok {
			r.Time, _ = time.Parse(time.RFC3339Nano, at) // zero if it is no time
		}
		records = append(records, r)
	}
	return records
}

// AssertLogged fails the test unless a record of the level holds text in its
// message, and returns the first one that does. What a handler logs by slog's
// default logger is the system's with [DefaultLogger] only.
func (s *System) AssertLogged(level, text string) Record {
	s.t.Helper()
	for _, r := range s.Logs() {
		if r.Level == level && strings.Contains(r.Message, text) {
			return r
		}
	}
	hint := ""
	if slog.Default().Handler() != s.Log().Handler() {
		hint = " (slog's default logger is not the system's: see chassistest.DefaultLogger)"
	}
	s.t.Errorf("nothing was logged at %s with %q in its message%s; the log:\n%s", level, text, hint, s.log)
	return Record{}
}
