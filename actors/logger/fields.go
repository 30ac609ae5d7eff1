package logger

import (
	"log/slog"
	"maps"
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
	Method       string
	URL          string
	Status       int
	RequestSize  int64 // bytes
	ResponseSize int64 // bytes
	UserAgent    string
	RemoteIP     string
	ServerIP     string
	Referer      string
	Protocol     string
	Latency      time.Duration
}

// LogValue implements [slog.LogValuer] for the other forms.
func (r HTTPRequest) LogValue() slog.Value {
	var attrs []slog.Attr
	str := func(k, v string) {
		if v != "" {
			attrs = append(attrs, slog.String(k, v))
		}
	}
	num := func(k string, v int64) {
		if v != 0 {
			attrs = append(attrs, slog.Int64(k, v))
		}
	}
	str("method", r.Method)
	str("url", r.URL)
	num("status", int64(r.Status))
	num("request_size", r.RequestSize)
	num("response_size", r.ResponseSize)
	str("user_agent", r.UserAgent)
	str("remote_ip", r.RemoteIP)
	str("server_ip", r.ServerIP)
	str("referer", r.Referer)
	str("protocol", r.Protocol)
	if r.Latency != 0 {
		attrs = append(attrs, slog.Duration("latency", r.Latency))
	}
	return slog.GroupValue(attrs...)
}

func (r *HTTPRequest) appendJSON(b []byte, f *form) []byte {
	b = append(b, '{')
	key := func(k string) {
		if b[len(b)-1] != '{' {
			b = append(b, ',')
		}
		b = append(b, '"')
		b = append(b, k...)
		b = append(b, '"', ':')
	}
	// A value is kept out by its name here and by that of the other forms.
	str := func(k, name, v string) {
		if v != "" {
			key(k)
			b = appendString(b, f.orRedacted(k, f.orRedacted(name, v)))
		}
	}
	// int64 is a string in the JSON form of a protocol buffer.
	num := func(k, name string, v int64) {
		if v != 0 {
			str(k, name, strconv.FormatInt(v, 10))
		}
	}
	str("requestMethod", "method", r.Method)
	str("requestUrl", "url", r.URL)
	num("requestSize", "request_size", r.RequestSize)
	if r.Status != 0 {
		key("status")
		b = strconv.AppendInt(b, int64(r.Status), 10)
	}
	num("responseSize", "response_size", r.ResponseSize)
	str("userAgent", "user_agent", r.UserAgent)
	str("remoteIp", "remote_ip", r.RemoteIP)
	str("serverIp", "server_ip", r.ServerIP)
	str("referer", "referer", r.Referer)
	if r.Latency != 0 {
		// google.protobuf.Duration: seconds with up to nine decimals.
		s := strconv.FormatFloat(r.Latency.Seconds(), 'f', 9, 64)
		str("latency", "latency", strings.TrimRight(strings.TrimRight(s, "0"), ".")+"s")
	}
	str("protocol", "protocol", r.Protocol)
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
