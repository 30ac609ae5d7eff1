package main

import (
	"fmt"
	"strings"
)

// headlines are the rows of the page's summary: what a user would ask first.
var headlines = []struct {
	what                          string
	area, bench, ours, peer, unit string
}{
	{"a call through a breaker, in ns", "breaker", "Success", "ours", "gobreaker", "ns/op"},
	{"a call that an open breaker refuses", "breaker", "Refusal", "ours", "gobreaker", "ns/op"},
	{"a failure that does not open it", "breaker", "Failure", "ours", "gobreaker", "ns/op"},
	{"an HTTP request through it, with its answer's body", "breaker", "Transport/body", "ours", "failsafe", "ns/op"},
	{"a log record for its caller, in ns", "logger", "Caller", "ours", "slog.JSONHandler", "ns/op"},
	{"the same", "logger", "Caller", "ours", "zerolog", "ns/op"},
	{"log records a second", "logger", "Throughput", "ours", "zap-buffered", "records/s"},
	{"yaml settings, read and checked, in ns", "settings", "LoadYAML", "ours", "koanf", "ns/op"},
	{"settings of three formats", "settings", "LoadMixed", "ours", "koanf", "ns/op"},
	{"messages sent to the embedded queue a second", "queue", "Send", "ours-loopback", "fauxqs", "msg/s"},
	{"the same on disk", "queue", "Send", "ours-disk-loopback", "fauxqs-disk", "msg/s"},
	{"tasks a second, over loopback", "tasks", "Loopback", "ours", "hand-written", "tasks/s"},
	{"the same", "tasks", "Loopback", "ours", "asynq", "tasks/s"},
	{"the same", "tasks", "Loopback", "ours", "river", "tasks/s"},
	{"processor time of a task, over loopback, in ns", "tasks", "Loopback", "ours", "hand-written", "cpu-ns/op"},
	{"processor time of a task, in process", "tasks", "InProcess", "ours", "hand-written", "cpu-ns/op"},
	{"from Send to the handler, 1 task a second, half of them within µs", "tasks", "Latency/1-idle", "ours", "hand-written", "p50-µs"},
	{"the same", "tasks", "Latency/1-idle", "ours", "asynq", "p50-µs"},
	{"the same", "tasks", "Latency/1-idle", "ours", "river", "p50-µs"},
	{"at 1 000 a second with other work, 99 of 100 within µs", "tasks", "Latency/1000-busy", "ours", "hand-written", "p99-µs"},
	{"a request through the server's middleware, in ns", "server", "Server", "ours", "otelhttp", "ns/op"},
}

// summary is the table for people: what can be had here, and how ours compares.
func (p page) summary() string {
	var b strings.Builder
	b.WriteString("## In short\n\n| what | ours | compared with | | ours is better by |\n|---|---:|---|---:|---:|\n")
	for _, h := range headlines {
		ours, err := p.results.median(key{h.area, h.bench, h.ours, h.unit})
		if err != nil {
			continue
		}
		peer, err := p.results.median(key{h.area, h.bench, h.peer, h.unit})
		if err != nil {
			continue
		}
		times := ours / peer
		if !strings.HasSuffix(h.unit, "/s") {
			times = peer / ours
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %.2f × |\n", h.what, figure(ours), h.peer, figure(peer), times)
	}
	short := 0
	for _, line := range p.lines {
		if strings.HasSuffix(line, " short") {
			short++
		}
	}
	fmt.Fprintf(&b, "\nOf %d comparisons %d are short of their goal; each is one of the [lines](#lines) at the end, "+
		"and [what is short](#what-is-short-and-what-would-be-needed) gives the reasons.\n", len(p.lines), short)
	return b.String()
}
