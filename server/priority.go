package server

import (
	"context"
	"net/http"
	"strings"
)

// Priority says which requests are shed first. The zero value is [Normal].
type Priority int8

// The priorities, from the one that is shed first to the one that never is.
const (
	Low      Priority = iota - 1 // batches, prefetches, what is sent again by itself
	Normal                       // requests without another
	High                         // what people wait for, or pay for
	Operator                     // those who look for the cause of an overload; they have a reserve of their own
	Probe                        // probes: never shed, never waiting, not counted against the limit
)

var priorityNames = map[Priority]string{
	Low:      "low",
	Normal:   "normal",
	High:     "high",
	Operator: "operator",
	Probe:    "probe",
}

// String returns the name by which a header and a metric have the priority.
func (p Priority) String() string {
	if name, ok := priorityNames[p]; ok {
		return name
	}
	return "normal"
}

// PriorityHeader is the header by which a caller says the priority of its request:
// low, normal, high or operator. It is read with [WithPriorityHeader] only.
const PriorityHeader = "X-Request-Priority"

// WithRequestPriority returns a ctx for work of a priority, which [Propagate] hands on to the
// services that it calls. In a request that came with a priority its ctx has one already.
// [Probe] counts as [Operator].
func WithRequestPriority(ctx context.Context, p Priority) context.Context {
	return context.WithValue(ctx, priorityKey{}, min(max(p, Low), Operator))
}

// RequestPriority returns the priority of the request or the work that ctx is of: by
// [WithPriority], by a header that is believed, or by [WithRequestPriority]. It is [Normal]
// without any.
func RequestPriority(ctx context.Context) Priority {
	p, _ := ctx.Value(priorityKey{}).(Priority)
	return p
}

// priorityKey is the key of a ctx for its priority.
type priorityKey struct{}

// parsePriority reads the header's value.
func parsePriority(s string) (Priority, bool) {
	if len(s) > 16 {
		return 0, false
	}
	for p := Low; p <= Operator; p++ {
		if strings.EqualFold(s, priorityNames[p]) {
			return p, true
		}
	}
	return 0, false
}

// isProbe is the default of [WithProbes]: a GET or HEAD to one of the paths by which
// Kubernetes and load balancers ask.
func isProbe(r *http.Request) bool {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return false
	}
	path := r.URL.Path
	if len(path) > 9 && strings.HasPrefix(path, "/readyz/") {
		return true // one check of several
	}
	switch path {
	case "/livez", "/readyz", "/startupz", "/healthz", "/health", "/ping":
		return true
	}
	return false
}
