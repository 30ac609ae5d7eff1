package logger

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"reflect"
	"strings"

	"github.com/asynkron/protoactor-go/actor"
)

// Option is a collaborator given to [New].
type Option func(*config)

type config struct {
	Settings
	service     string
	project     string
	extra       []outputConfig
	main        *outputConfig
	hooks       []slog.Handler
	redactTypes []reflect.Type
	props       []actor.PropsOption
	stderr      func(string)
}

type outputConfig struct {
	name   string
	w      io.Writer
	format Format
	policy Policy
	buffer int
	min    slog.Level
	path   string
}

// OutputOption changes one output.
type OutputOption func(*outputConfig)

// OutputFormat gives an output a format of its own.
func OutputFormat(f Format) OutputOption { return func(c *outputConfig) { c.format = f } }

// OutputPolicy says what a full buffer of this output does.
func OutputPolicy(p Policy) OutputOption { return func(c *outputConfig) { c.policy = p } }

// OutputBuffer gives an output a buffer of n bytes, 262144 to 1073741824.
func OutputBuffer(n int) OutputOption { return func(c *outputConfig) { c.buffer = n } }

// OutputLevel keeps records below level out of this output.
func OutputLevel(level slog.Level) OutputOption { return func(c *outputConfig) { c.min = level } }

// WithOutput replaces os.Stdout as the main output. A call at ERROR or above
// waits for the main output alone.
func WithOutput(w io.Writer, opts ...OutputOption) Option {
	return func(c *config) { c.main = newOutputConfig("main", w, opts) }
}

// WithExtraOutput adds an output with a buffer of its own. Unless it is given
// another policy it drops its oldest records when it falls too far behind: an
// extra output never makes callers or other outputs wait.
func WithExtraOutput(name string, w io.Writer, opts ...OutputOption) Option {
	return func(c *config) { c.extra = append(c.extra, *newOutputConfig(name, w, opts)) }
}

// WithFile adds a file, appended to, and opened again on SIGHUP and
// [Logger.Reopen], as an extra output.
func WithFile(path string, opts ...OutputOption) Option {
	return func(c *config) {
		o := newOutputConfig(path, nil, opts)
		o.path = path
		c.extra = append(c.extra, *o)
	}
}

func newOutputConfig(name string, w io.Writer, opts []OutputOption) *outputConfig {
	c := &outputConfig{name: name, w: w, min: slog.Level(-1 << 20)}
	for _, opt := range opts {
		opt(c)
	}
	return c
}

// WithHook calls h for each record that is logged and not sampled out, on the
// caller's goroutine, after the record is in the buffers. A panic of h's Enabled
// or Handle is caught and counted. What h logs by this logger is written and
// goes to no hook: it must use the ctx that it gets, or log on the goroutine that
// called it. On another goroutine see [WithoutHooks].
//
// A hook with a method Shutdown(context.Context) error delivers later: [Logger.Stop]
// calls it once, after the last record that it writes. What h gets is not redacted: see
// [Logger.Redacted].
func WithHook(h slog.Handler) Option { return func(c *config) { c.hooks = append(c.hooks, h) } }

// WithRedactType replaces every attribute value with the type of one of these
// samples, or a pointer to it, by [REDACTED]. It does not look into structs,
// slices and maps: give their types, or their keys to the setting redact.
func WithRedactType(samples ...any) Option {
	return func(c *config) {
		for _, s := range samples {
			if t := reflect.TypeOf(s); t != nil {
				c.redactTypes = append(c.redactTypes, t)
			}
		}
	}
}

// WithProject names the Google Cloud project that traces belong to. The
// default is the variable GOOGLE_CLOUD_PROJECT.
func WithProject(id string) Option { return func(c *config) { c.project = id } }

// WithProps adds options to the actors that write (a mailbox, middleware).
func WithProps(opts ...actor.PropsOption) Option {
	return func(c *config) { c.props = append(c.props, opts...) }
}

// WithErrorReport sets where the outage of an output is reported: one line for
// each outage. The default, also for nil, is stderr.
func WithErrorReport(report func(line string)) Option {
	return func(c *config) {
		if report != nil {
			c.stderr = report
		}
	}
}

func (c *config) build() (*Logger, error) {
	l := &Logger{service: c.service, props: append([]actor.PropsOption{actor.WithSupervisor(restart)}, c.props...)}
	root, _ := c.Level.Parse(slog.LevelInfo)
	named := map[string]slog.Level{}
	for name, v := range c.Levels {
		named[name], _ = v.Parse(root)
	}
	l.levels = newLevels(root, named)
	l.sampler = newSampler(c.Sampling)

	if c.main == nil {
		c.main = newOutputConfig("stdout", os.Stdout, nil)
	}
	for i, h := range c.hooks {
		if h == nil {
			return nil, fmt.Errorf("logger: service %s: hook %d is nil: give WithHook a handler", c.service, i+1)
		}
	}
	if len(c.hooks) > 0 {
		hookedLoggers.Add(1)
	}
	c.main.policy = cmp.Or(c.main.policy, c.Policy)
	all := []outputConfig{*c.main}
	for _, path := range c.Files {
		all = append(all, outputConfig{name: path, path: path, min: slog.Level(-1 << 20)})
	}
	all = append(all, c.extra...)
	for i, oc := range all {
		oc.policy = cmp.Or(oc.policy, PolicyDropOldest)
		oc.buffer = cmp.Or(oc.buffer, c.Buffer)
		if err := c.addOutput(l, oc, i == 0); err != nil {
			for _, o := range l.outputs {
				_ = o.close()
			}
			return nil, fmt.Errorf("logger: service %s: output %s: %w", c.service, oc.name, err)
		}
	}
	l.root = &handler{l: l, level: l.levels.node(""), parts: make([]part, len(l.forms)), hooks: c.hooks}
	return l, nil
}

func (c *config) addOutput(l *Logger, oc outputConfig, first bool) error {
	for _, o := range l.outputs {
		if o.name == oc.name { // they would share their counters' name, and a file its lines
			return errors.New("there are two of this name: give each one of its own")
		}
	}
	s := Settings{Format: oc.format, Policy: oc.policy, Buffer: oc.buffer}
	if err := s.Validate(); err != nil {
		return err
	}
	w := oc.w
	if oc.path != "" {
		f, err := openFile(oc.path)
		if err != nil {
			return err
		}
		w = f
	}
	if w == nil {
		return fmt.Errorf("the writer is nil")
	}
	w = direct(w)
	below, _ := c.DropBelow.Parse(slog.LevelWarn)
	o := &output{
		name:   oc.name,
		form:   c.form(l, oc, w),
		ring:   newRing(oc.buffer, oc.policy, below),
		min:    oc.min,
		await:  first,
		stderr: c.stderr,
		w:      w,
	}
	if oc.policy != PolicyBlock {
		o.errorWait = c.ErrorWait
	}
	if first {
		o.tail = newTail(c.Tail)
	}
	if len(o.form.outputs) == 0 {
		o.form.min = o.min
	}
	o.form.min = min(o.form.min, o.min)
	o.form.outputs = append(o.form.outputs, o)
	l.outputs = append(l.outputs, o)
	return nil
}

// form finds or makes the form of an output.
func (c *config) form(l *Logger, oc outputConfig, w io.Writer) *form {
	format := cmp.Or(oc.format, c.Format)
	term := isTerminal(w)
	if oc.path != "" && oc.format == "" && format != FormatStackdriver {
		format = FormatJSON
	}
	if format == FormatAuto {
		format = FormatJSON
		if term {
			format = FormatText
		}
	}
	colour := term && format == FormatText && os.Getenv("NO_COLOR") == ""
	for _, f := range l.forms {
		if f.format == format && (f.colours != palette{}) == colour {
			return f
		}
	}
	f := &form{
		format:  format,
		service: c.service,
		project: cmp.Or(c.project, os.Getenv("GOOGLE_CLOUD_PROJECT")),
		maxLine: c.MaxLine,
		source:  c.Source == "on" || c.Source == "auto" && format != FormatJSON,
	}
	if colour {
		f.colours = terminal
	}
	if c.InsertID {
		f.insertID = newIDSource()
	}
	for _, k := range c.Redact {
		if f.redact == nil {
			f.redact = map[string]struct{}{}
		}
		f.redact[strings.ToLower(k)] = struct{}{}
	}
	for _, t := range c.redactTypes {
		if f.redactTypes == nil {
			f.redactTypes = map[reflect.Type]bool{}
		}
		f.redactTypes[t], f.redactTypes[reflect.PointerTo(t)] = true, true
	}
	f.init()
	l.forms = append(l.forms, f)
	return f
}
