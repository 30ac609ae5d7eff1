package task

import (
	"context"
	"net/url"
	"slices"
	"strings"
)

// Behind names a service that every attempt of the task calls, by a URL with a path
// or without: "https://mail.internal/v1/messages". It may be given several times.
//
// While the breaker of that service is open, no attempt of the task begins, and no
// message is received for a pool with no other tasks. While it is half-open, as many
// attempts run as it lets calls through. Without Behind a pool learns this from the
// errors of the attempts, which costs a few refused attempts each time.
//
// Do not name a service that only some of the attempts call: the others would wait too.
func Behind(service string) Policy {
	return func(s *Spec) {
		s.Behind = append(slices.Clip(s.Behind), service)
		why := wrongService(service)
		s.check(why == "", "Behind(%q): %s: want a URL like https://mail.internal/v1/messages", redacted(service), why)
	}
}

// wrongService returns what is wrong with the URL of a service, or "".
func wrongService(service string) string {
	u, err := url.Parse(service)
	switch {
	case err != nil:
		return "it is no URL"
	case u.Scheme == "" || u.Hostname() == "":
		return "it has no scheme or no host"
	case u.User != nil:
		return "it has a user"
	case u.RawQuery != "" || u.Fragment != "":
		return "it has a query or a fragment, which no breaker knows"
	}
	return ""
}

// redacted is a URL without its password: an error may be logged.
func redacted(service string) string {
	u, err := url.Parse(service)
	if err != nil {
		at := strings.LastIndex(service, "@")
		return service[at+1:]
	}
	return u.Redacted()
}

// calls is what is known of the calls of one attempt to services with a breaker.
type calls struct {
	failed string // URL of the last one that the service failed
}

// NoteFailedCall notes on the attempt that ctx belongs to that a service failed a
// call of it. The chassis has its breakers call it. Outside a task it does nothing.
func NoteFailedCall(ctx context.Context, service, path string) {
	if info := JobFrom(ctx); info != nil {
		info.calls.Store(&calls{failed: service + path})
	}
}

// FailedCall returns the URL of the last call of this attempt that a service with a
// breaker failed, or "".
func (i *Info) FailedCall() string {
	if c := i.calls.Load(); c != nil {
		return c.failed
	}
	return ""
}

// Pace says which services the pool paces this attempt for, by their URLs: it lets
// no more attempts run than they have room for. It is called before the attempt begins.
func (i *Info) Pace(services []string) { i.paced = &services }

// Paced reports whether the pool paces the attempt of ctx for a service. Its calls
// then count as admitted by the ramp of the breaker.
func Paced(ctx context.Context, service string) bool {
	info := JobFrom(ctx)
	if info == nil || info.paced == nil {
		return false
	}
	return slices.ContainsFunc(*info.paced, func(url string) bool {
		rest, ok := strings.CutPrefix(url, service)
		return ok && (rest == "" || rest[0] == '/')
	})
}
