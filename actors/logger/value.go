package logger

import (
	"bytes"
	"encoding"
	"encoding/json"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	jsonv2 "github.com/go-json-experiment/json"

	"github.com/sambatech/chassis/internal/clip"
)

const redacted = "[REDACTED]"

// Groups within one attribute may be so deep, and so many in one record.
const (
	maxNest   = 32
	maxGroups = 1000
)

// attr writes one attribute into the open group.
func (e *enc) attr(a *slog.Attr) {
	if a.Key == badKey { // slog's name of each value without one
		own := *a
		own.Key = e.freeKey(badKey)
		a = &own
	}
	if e.form.mustRedact(a.Key) {
		e.redactedField(a.Key)
		return
	}
	value := a.Value
	kind := value.Kind()
	if kind == slog.KindLogValuer || kind == slog.KindAny {
		if e.form.redactsType(value) {
			e.redactedField(a.Key)
			return
		}
		if e.form.stackdriver && e.take(a) {
			return
		}
	}
	if kind == slog.KindLogValuer {
		if isNilField(value.Any()) {
			e.key(e.name(a.Key))
			e.any(nil)
			return
		}
		value = value.Resolve() // catches panics and endless chains
		kind = value.Kind()
		if kind == slog.KindAny && e.form.redactsType(value) {
			e.redactedField(a.Key)
			return
		}
	}
	if kind == slog.KindGroup {
		attrs := value.Group()
		if emptyGroup(attrs) {
			return
		}
		if e.groups++; e.nest >= maxNest || e.nest > 0 && e.groups > maxGroups {
			// A LogValuer may give a group that holds itself, even twice.
			e.key(e.name(a.Key))
			e.str("!ERROR: groups are nested too deeply")
			return
		}
		e.nest++
		if a.Key == "" {
			e.attrs(attrs)
		} else {
			g := e.open(e.name(a.Key))
			e.attrs(attrs)
			e.close(g)
		}
		e.nest--
		return
	}
	if kind == slog.KindAny && a.Key == "" && value.Any() == nil {
		return
	}
	e.key(e.name(a.Key))
	e.value(value, kind)
}

func (e *enc) attrs(attrs []slog.Attr) {
	for i := range attrs {
		e.attr(&attrs[i])
	}
}

// name gives the key that is written: one that is reserved at the top level is
// kept apart.
func (e *enc) name(k string) string {
	if e.depth == 0 && e.form.reserved(k) {
		return "fields." + k
	}
	return k
}

// badKey is slog's name of a value that has none.
const badKey = "!BADKEY"

// freeKey is k, or k with the first number that the open group has not got.
func (e *enc) freeKey(k string) string {
	name := k
	for n := 2; e.has(name); n++ {
		name = k + strconv.Itoa(n)
	}
	return name
}

// has reports whether the open group has a field of this name.
func (e *enc) has(name string) bool {
	var key []byte
	if e.form.text {
		key = appendTextKey(bytes.Clone(e.prefix), name)
	} else {
		key = appendString(nil, name)
	}
	return slices.ContainsFunc(e.fields[e.level:], func(f field) bool { return bytes.Equal(e.b[f.key:f.end], key) })
}

func (e *enc) redactedField(key string) {
	e.key(e.name(key))
	e.str(redacted)
}

// emptyGroup reports whether nothing of a group would be written.
func emptyGroup(attrs []slog.Attr) bool {
	return !slices.ContainsFunc(attrs, func(a slog.Attr) bool { return !emptyAttr(&a) })
}

func emptyAttr(a *slog.Attr) bool {
	switch a.Value.Kind() {
	case slog.KindGroup:
		return emptyGroup(a.Value.Group())
	case slog.KindAny:
		return a.Key == "" && a.Value.Any() == nil
	}
	return false
}

func (e *enc) value(v slog.Value, kind slog.Kind) {
	switch kind {
	case slog.KindString:
		e.str(v.String())
	case slog.KindInt64:
		e.b = strconv.AppendInt(e.b, v.Int64(), 10)
	case slog.KindUint64:
		e.b = strconv.AppendUint(e.b, v.Uint64(), 10)
	case slog.KindFloat64:
		e.b = appendFloat(e.b, v.Float64())
	case slog.KindBool:
		e.b = strconv.AppendBool(e.b, v.Bool())
	case slog.KindDuration:
		e.duration(v.Duration())
	case slog.KindTime:
		e.time(v.Time())
	default:
		e.any(v.Any())
	}
}

// str writes a string. What is longer than a whole line may be is cut here,
// before it is encoded; what makes the line too long together with others is
// cut later.
func (e *enc) str(s string) {
	cutBytes := 0
	if limit := e.form.maxLine; len(s) > limit {
		n := cutAt(s, limit)
		cutBytes = len(s) - n
		e.lost += cutBytes
		s = s[:n]
	}
	switch {
	case e.form.text:
		e.b = appendTextValue(e.b, s)
	case cutBytes > 0:
		e.b = append(e.b, '"')
		e.b = appendEscaped(e.b, s)
		e.b = appendCutMark(e.b, cutBytes)
		e.b = append(e.b, '"')
	default:
		e.b = appendString(e.b, s)
	}
}

// duration is a number of nanoseconds, as slog's own handler writes it; for
// people it is written with its units.
func (e *enc) duration(d time.Duration) {
	if e.form.text {
		e.b = append(e.b, d.String()...)
		return
	}
	e.b = strconv.AppendInt(e.b, int64(d), 10)
}

func (e *enc) time(t time.Time) {
	if e.form.text {
		e.b = t.AppendFormat(e.b, time.RFC3339Nano)
		return
	}
	e.b = append(e.b, '"')
	e.b = t.AppendFormat(e.b, time.RFC3339Nano)
	e.b = append(e.b, '"')
}

func (e *enc) any(v any) {
	switch v := v.(type) {
	case nil:
		e.b = append(e.b, "null"...)
		return
	case error:
		if e.form.stackdriver && e.keep().err == nil {
			e.special.err = v
		}
		e.str(errorText(v))
		return
	case *slog.Source:
		if v == nil {
			break
		}
		e.str(v.File + ":" + strconv.Itoa(v.Line))
		return
	}
	if e.form.text {
		e.str(e.form.textOf(v))
		return
	}
	raw, err := marshal(v)
	if err != nil {
		e.str(err.Error())
		return
	}
	if e.form.redact != nil {
		raw = redactJSON(raw, e.form)
	}
	e.b = append(e.b, raw...)
}

// errorText is err.Error(), whatever that does.
func errorText(err error) (s string) {
	defer func() {
		if r := recover(); r != nil {
			s = panicText(err, r)
		}
	}()
	return err.Error()
}

func panicText(v, r any) string {
	if rv := reflect.ValueOf(v); rv.Kind() == reflect.Pointer && rv.IsNil() {
		return "<nil>"
	}
	return fmt.Sprintf("!PANIC: %T: %s", v, clip.Panic(r))
}

// marshal is json.Marshal without the HTML escapes, whatever v's methods do.
// What has no JSON becomes an error that says so.
func marshal(v any) (raw []byte, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%s", panicText(v, r))
		}
	}()
	if logsOtherwise(reflect.TypeOf(v)) {
		raw, err := jsonv2.Marshal(v, asLogged)
		if err != nil {
			return nil, fmt.Errorf("!ERROR: %T: %w", v, err)
		}
		return []byte(strings.ToValidUTF8(string(raw), "\uFFFD")), nil
	}
	var out strings.Builder
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, fmt.Errorf("!ERROR: %T: %w", v, err)
	}
	s := out.String()
	s = s[:len(s)-1] // without the newline
	// What a MarshalJSON or a json.RawMessage gives is not looked at by encoding/json.
	return []byte(strings.ToValidUTF8(s, "\uFFFD")), nil
}

// textOf is v for people.
func (f *form) textOf(v any) (s string) {
	defer func() {
		if r := recover(); r != nil {
			s = panicText(v, r)
		}
	}()
	switch v := v.(type) {
	case json.RawMessage, *json.RawMessage: // JSON, though from Go 1.27 on it is a Stringer
	case fmt.Stringer:
		return v.String()
	case encoding.TextMarshaler:
		text, err := v.MarshalText()
		if err != nil {
			return "!ERROR: " + err.Error()
		}
		return string(text)
	case []byte:
		return string(v)
	}
	raw, err := marshal(v)
	if err != nil {
		return err.Error()
	}
	if f.redact != nil {
		raw = redactJSON(raw, f)
	}
	return string(raw)
}
