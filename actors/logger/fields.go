package logger

import (
	"log/slog"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// nameKey is the attribute that names a logger.
const nameKey = "logger"

// Name names a logger: slog.With(logger.Name("actors/breaker")). Its level is
// that of the nearest name that has one, its name is on each record ("logger",
// in the Stackdriver form "module").
func Name(name string) slog.Attr { return slog.Any(nameKey, loggerName(name)) }

// loggerName is a type of its own so that a user's plain attribute "logger"
// cannot change a level.
type loggerName string

func (n loggerName) LogValue() slog.Value { return slog.StringValue(string(n)) }

// Labels are a LogEntry's labels in the Stackdriver form, a group in others.
// Cloud Logging indexes them. Labels of With and of the call are merged.
type Labels map[string]string

// LogValue implements [slog.LogValuer] for the other forms.
func (l Labels) LogValue() slog.Value {
	attrs := make([]slog.Attr, 0, len(l))
	for _, k := range slices.Sorted(maps.Keys(l)) {
		attrs = append(attrs, slog.String(k, l[k]))
	}
	return slog.GroupValue(attrs...)
}

func (l Labels) with(more Labels) Labels {
	if len(l) == 0 {
		return more
	}
	all := maps.Clone(l)
	maps.Copy(all, more)
	return all
}

func (l Labels) appendJSON(b []byte, f *form) []byte {
	b = append(b, '{')
	for i, k := range slices.Sorted(maps.Keys(l)) {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendString(b, k)
		b = append(b, ':')
		b = appendString(b, f.orRedacted(k, l[k]))
	}
	return append(b, '}')
}

// HTTPRequest is a LogEntry's httpRequest in the Stackdriver form, a group in
// others. Zero fields are left out.
type HTTPRequest struct {
	Method       string        `log:"method" google:"requestMethod"`
	URL          string        `log:"url" google:"requestUrl"`
	Status       int           `log:"status" google:"status"`
	RequestSize  int64         `log:"request_size" google:"requestSize"`   // bytes
	ResponseSize int64         `log:"response_size" google:"responseSize"` // bytes
	UserAgent    string        `log:"user_agent" google:"userAgent"`
	RemoteIP     string        `log:"remote_ip" google:"remoteIp"`
	ServerIP     string        `log:"server_ip" google:"serverIp"`
	Referer      string        `log:"referer" google:"referer"`
	Protocol     string        `log:"protocol" google:"protocol"`
	Latency      time.Duration `log:"latency" google:"latency"`
}

// fields calls do for each field that is not zero.
func (r *HTTPRequest) fields(do func(name, google string, value slog.Value)) {
	for f, v := range reflect.ValueOf(r).Elem().Fields() {
		if !v.IsZero() {
			do(f.Tag.Get("log"), f.Tag.Get("google"), slog.AnyValue(v.Interface()))
		}
	}
}

// LogValue implements [slog.LogValuer] for the other forms.
func (r HTTPRequest) LogValue() slog.Value {
	var attrs []slog.Attr
	r.fields(func(name, _ string, v slog.Value) { attrs = append(attrs, slog.Attr{Key: name, Value: v}) })
	return slog.GroupValue(attrs...)
}

func (r *HTTPRequest) appendJSON(b []byte, f *form) []byte {
	between := byte('{')
	r.fields(func(name, google string, v slog.Value) {
		b = append(appendString(append(b, between), google), ':')
		between = ','
		text := v.String() // int64 is a string in the JSON form of a protocol buffer
		if v.Kind() == slog.KindDuration {
			// google.protobuf.Duration: seconds with up to nine decimals.
			text = strconv.FormatFloat(v.Duration().Seconds(), 'f', 9, 64)
			text = strings.TrimRight(strings.TrimRight(text, "0"), ".") + "s"
		}
		if name == "status" {
			b = append(b, text...)
			return
		}
		// A value is kept out by its name here and by that of the other forms.
		b = appendString(b, f.orRedacted(google, f.orRedacted(name, text)))
	})
	if between == '{' {
		b = append(b, between)
	}
	return append(b, '}')
}

// Operation groups the records of one long operation: a LogEntry's operation
// in the Stackdriver form, a group in others.
type Operation struct {
	ID, Producer string
	First, Last  bool
}

// LogValue implements [slog.LogValuer] for the other forms.
func (o Operation) LogValue() slog.Value {
	return slog.GroupValue(slog.String("id", o.ID), slog.String("producer", o.Producer),
		slog.Bool("first", o.First), slog.Bool("last", o.Last))
}

func (o *Operation) appendJSON(b []byte) []byte {
	b = append(b, `{"id":`...)
	b = appendString(b, o.ID)
	b = append(b, `,"producer":`...)
	b = appendString(b, o.Producer)
	if o.First {
		b = append(b, `,"first":true`...)
	}
	if o.Last {
		b = append(b, `,"last":true`...)
	}
	return append(b, '}')
}

// InsertID gives a record its insertId in the Stackdriver form: Cloud Logging
// keeps one of several records with the same insertId and timestamp.
func InsertID(id string) slog.Attr { return slog.Any("insert_id", insertID(id)) }

type insertID string

func (id insertID) LogValue() slog.Value { return slog.StringValue(string(id)) }

// Stack is a stack as runtime/debug.Stack gives it. In the Stackdriver form it
// is what Error Reporting groups an error by, instead of the stack of the
// logging call.
type Stack string

// LogValue implements [slog.LogValuer] for the other forms.
func (s Stack) LogValue() slog.Value { return slog.StringValue(string(s)) }

// isNilField reports whether v is a nil pointer to a type of this file: its
// LogValue would panic.
func isNilField(v any) bool {
	switch v := v.(type) {
	case *Labels:
		return v == nil
	case *HTTPRequest:
		return v == nil
	case *Operation:
		return v == nil
	case *Stack:
		return v == nil
	}
	return false
}
