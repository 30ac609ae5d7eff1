package logger

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"
)

// Format names how a record is written.
type Format string

// The formats. The empty one is [FormatAuto].
const (
	FormatAuto        Format = "auto"        // text if the output is a terminal, else json
	FormatJSON        Format = "json"        // one JSON object a line: time, level, msg
	FormatStackdriver Format = "stackdriver" // one JSON object a line, as Cloud Logging reads it
	FormatText        Format = "text"        // for people; colours on a terminal
)

// Policy says what happens to a record when an output's buffer is full.
type Policy string

// The policies. The empty one is [PolicyBlock].
const (
	PolicyBlock      Policy = "block"       // the caller waits: nothing is lost
	PolicyDropBelow  Policy = "drop_below"  // records under drop_below are dropped, callers of others wait
	PolicyDropOldest Policy = "drop_oldest" // the oldest records are dropped, no caller waits
)

// Limits of the settings.
const (
	chunkSize = 64 << 10 // a pipe's default capacity on Linux (pipe(7)): one write can fill it

	defaultMaxLine = 16 << 10 // Docker's json-file driver and CRI runtimes split lines there
	minMaxLine     = 1 << 10
	maxMaxLine     = 256 << 10 // Cloud Logging's limit for one LogEntry

	defaultBuffer = 4 << 20
	minBuffer     = 4 * chunkSize
	maxBuffer     = 1 << 30

	defaultErrorWait = 5 * time.Second
	defaultTail      = 128 << 10
)

// Settings is the section "log" of a service's settings. The zero value means
// the defaults.
type Settings struct {
	Level  Level            `live:"true" doc:"records below it are not made; default info"`
	Levels map[string]Level `live:"true" doc:"levels by logger name, e.g. actors/breaker: debug; a name covers the names below it (actors covers actors/breaker)"`
	Format Format           `rule:"oneof=auto|json|stackdriver|text" doc:"auto (text on a terminal, else json), json, stackdriver or text; default auto"`

	MaxLine   int           `rule:"min=1024,max=262144" doc:"longest line in bytes; values are cut so that a record fits; default 16384, where container runtimes split lines"`
	Buffer    int           `rule:"min=262144,max=1073741824" doc:"bytes of encoded records held for each output; default 4194304"`
	Policy    Policy        `rule:"oneof=block|drop_below|drop_oldest" doc:"what a full buffer does: block, drop_below or drop_oldest; default block"`
	DropBelow Level         `doc:"with policy drop_below: records under this level are dropped when the buffer is full; default warning"`
	ErrorWait time.Duration `rule:"min=1ms,max=1h" doc:"with a drop policy: how long a call at error or above waits for a stalled output; default 5s. With policy block it waits as long as it takes"`

	Source   string   `rule:"oneof=auto|on|off" doc:"file and line of the call: on, off or auto (on for stackdriver and text, off for json); default auto"`
	Redact   []string `doc:"attribute and JSON keys; their values are replaced by [REDACTED], at any depth, in any case; default none"`
	Sampling Sampling `doc:"leave out repeated records; default off"`
	Files    []string `doc:"files to write as well, JSON (or stackdriver, if that is the format), reopened on SIGHUP; default none"`
	InsertID bool     `doc:"stackdriver: give each record a unique insertId, so that an agent's retry is not shown twice; default false"`
	Tail     int      `rule:"min=1024,max=16777216" doc:"bytes of the last written records kept for a live page; default 131072"`
}

// Sampling keeps the first records with one level and message in each
// interval and then every n-th. Records at ERROR and above are always kept.
// The next record that is kept says how many were left out ("sampled").
type Sampling struct {
	Interval   time.Duration `rule:"min=1ms,max=1h" doc:"length of an interval; default 1s"`
	First      int           `rule:"min=0" doc:"records kept in each interval; 0 turns sampling off"`
	Thereafter int           `rule:"min=0" doc:"after the first ones every n-th is kept; 0 keeps none"`
}

// DefaultSettings returns the settings with every default filled in.
func DefaultSettings() Settings {
	return Settings{}.withDefaults()
}

func (s Settings) withDefaults() Settings {
	s.Level = cmp.Or(s.Level, "info")
	s.Format = cmp.Or(s.Format, FormatAuto)
	s.MaxLine = cmp.Or(s.MaxLine, defaultMaxLine)
	s.Buffer = cmp.Or(s.Buffer, defaultBuffer)
	s.Policy = cmp.Or(s.Policy, PolicyBlock)
	s.DropBelow = cmp.Or(s.DropBelow, "warning")
	s.ErrorWait = cmp.Or(s.ErrorWait, defaultErrorWait)
	s.Source = cmp.Or(s.Source, "auto")
	s.Sampling.Interval = cmp.Or(s.Sampling.Interval, time.Second)
	s.Tail = cmp.Or(s.Tail, defaultTail)
	return s
}

// Validate reports everything that is wrong, in one error.
func (s Settings) Validate() error {
	s = s.withDefaults()
	var errs []error
	bad := func(key, format string, args ...any) {
		errs = append(errs, fmt.Errorf("log.%s: %s", key, fmt.Sprintf(format, args...)))
	}
	if _, err := s.Level.Parse(slog.LevelInfo); err != nil {
		bad("level", "%v", err)
	}
	if _, err := s.DropBelow.Parse(slog.LevelWarn); err != nil {
		bad("drop_below", "%v", err)
	}
	for _, name := range slices.Sorted(maps.Keys(s.Levels)) {
		if _, err := s.Levels[name].Parse(slog.LevelInfo); err != nil {
			bad("levels."+name, "%v", err)
		}
	}
	oneOf := func(key, v string, known ...string) {
		if last := len(known) - 1; !slices.Contains(known, v) {
			bad(key, "%q is not known: use %s or %s", v, strings.Join(known[:last], ", "), known[last])
		}
	}
	oneOf("format", string(s.Format), "auto", "json", "stackdriver", "text")
	oneOf("policy", string(s.Policy), "block", "drop_below", "drop_oldest")
	oneOf("source", s.Source, "auto", "on", "off")
	between := func(key string, v, lo, hi int) {
		if v < lo || v > hi {
			bad(key, "%d is out of range: use %d to %d", v, lo, hi)
		}
	}
	between("max_line", s.MaxLine, minMaxLine, maxMaxLine)
	between("buffer", s.Buffer, minBuffer, maxBuffer)
	between("tail", s.Tail, 1<<10, 16<<20)
	wait := func(key string, v time.Duration) {
		if v < time.Millisecond || v > time.Hour {
			bad(key, "%v is out of range: use 1ms to 1h", v)
		}
	}
	wait("error_wait", s.ErrorWait)
	wait("sampling.interval", s.Sampling.Interval)
	if s.Sampling.First < 0 || s.Sampling.Thereafter < 0 {
		bad("sampling", "first %d and thereafter %d must not be negative", s.Sampling.First, s.Sampling.Thereafter)
	}
	for i, f := range s.Files {
		if f == "" {
			bad(fmt.Sprintf("files.%d", i), "the path is empty")
		}
	}
	return errors.Join(errs...)
}
