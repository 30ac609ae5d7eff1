package breaker

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// Settings of one breaker. The zero value of each field means its default; the
// first six have the names and defaults of the Python chassis.
type Settings struct {
	RequestTimeout     time.Duration `key:"request_timeout" rule:"optional,positive" live:"true" doc:"longest wait for the response headers, and for each further piece of the body, default 5s"`
	OpenTimeout        time.Duration `key:"open_timeout" rule:"optional,positive" live:"true" doc:"time for which an open entry refuses every call, default 10s"`
	ClosedFailLimit    int           `key:"closed_fail_limit" rule:"optional,min=1" live:"true" doc:"failures that open a closed entry, default 10"`
	ClosedSuccessLimit int           `key:"closed_success_limit" rule:"optional,min=1" live:"true" doc:"successes that clear the failures of a closed entry, default 1"`
	HalfFailLimit      int           `key:"half_fail_limit" rule:"optional,min=1" live:"true" doc:"failures that open a half-open entry again, default 1"`
	HalfSuccessLimit   int           `key:"half_success_limit" rule:"optional,min=1" live:"true" doc:"successes that close a half-open entry, default 10"`

	HalfProbeLimit int           `key:"half_probe_limit" rule:"optional,min=1" live:"true" doc:"most calls in flight through a half-open entry, default 1"`
	ProbeTimeout   time.Duration `key:"probe_timeout" rule:"optional,positive" live:"true" doc:"deadline of a call through a half-open entry, past it a failure, default request_timeout"`
	BoundCalls     bool          `key:"bound_calls" live:"true" doc:"end the ctx of Do, Execute and Acquire after request_timeout in every state, default false: only of probes"`
	CallerDeadline string        `key:"caller_deadline" rule:"optional,oneof=failure|neutral" live:"true" doc:"what a call is that ran into the deadline of the caller's own ctx, default failure"`

	Patience string `key:"patience" live:"true" doc:"request_timeout of single paths and what lies below them, separated by commas, for example /events=none,/reports=2m; it holds for their probes and event streams too, default none"`

	FailStatus string `key:"fail_status" rule:"optional,nonempty" live:"true" doc:"HTTP status codes that are failures, separated by commas: 503, 5xx, 500-599, or none, default 5xx,429"`

	Trip        string        `key:"trip" rule:"optional,oneof=consecutive|rate" live:"true" doc:"what opens a closed entry: failures in a row, or the failure rate over a window, default consecutive"`
	Window      time.Duration `key:"window" rule:"optional,positive" live:"true" doc:"length of the sliding window of trip: rate, default 30s unless window_calls is set"`
	WindowCalls int           `key:"window_calls" rule:"min=0,max=10000" live:"true" doc:"make the window the last so many calls instead of a time, default 0: a time"`
	FailureRate float64       `key:"failure_rate" rule:"optional,positive,max=1" live:"true" doc:"share of failures in the window that opens, above 0 to 1, default 0.5"`
	MinCalls    int           `key:"min_calls" rule:"optional,min=1" live:"true" doc:"calls in the window below which no rate opens, default 20"`
	SlowCall    time.Duration `key:"slow_call" rule:"min=0s" live:"true" doc:"a call at least this long is slow, needs trip: rate, default 0: none is"`
	SlowRate    float64       `key:"slow_rate" rule:"optional,positive,max=1" live:"true" doc:"share of slow calls in the window that opens, above 0 to 1, default 0.8"`
	HangLimit   int           `key:"hang_limit" rule:"min=0" live:"true" doc:"calls hanging at once that open an entry though none returns, default 0: off"`
	HangTime    time.Duration `key:"hang_time" rule:"optional,positive" live:"true" doc:"time in flight from which a call hangs and is a failure, needs hang_limit, default request_timeout"`

	OpenBackoff string        `key:"open_backoff" rule:"optional,oneof=constant|exponential" live:"true" doc:"open time when opening again: the same, or twice the one before, default constant"`
	OpenMax     time.Duration `key:"open_max" rule:"optional,positive" live:"true" doc:"longest open time, by backoff or Retry-After, default 5m, or open_timeout if that is longer"`
	OpenJitter  float64       `key:"open_jitter" rule:"min=0,max=1" live:"true" doc:"share of the open time that is added at random, 0 to 1, default 0"`
	RetryAfter  string        `key:"retry_after" rule:"optional,oneof=honor|ignore" live:"true" doc:"lengthen the open time to the Retry-After of the failing response, default honor"`
	Ramp        time.Duration `key:"ramp" rule:"min=0s" live:"true" doc:"time over which a recovered entry admits a growing share of its calls before it closes, default 0: closes at once"`

	HealthURL      string        `key:"health_url" live:"true" doc:"URL, or path at the service, that the breaker itself calls while the service entry is open, default none"`
	HealthInterval time.Duration `key:"health_interval" rule:"optional,positive" live:"true" doc:"time between two of these calls, default 1s"`

	Blame       string        `key:"blame" rule:"optional,oneof=deepest|all" live:"true" doc:"who takes a failure in half-open: the deepest entry known to be bad alone, or every entry, default deepest"`
	MaxEntries  int           `key:"max_entries" rule:"optional,min=1,max=1000000" live:"true" doc:"most entries of paths in a service; past it the parents alone take the failures, default 1000"`
	MaxDepth    int           `key:"max_depth" rule:"optional,min=1,max=32" live:"true" doc:"path segments that may have entries of their own, default 16"`
	ForgetAfter time.Duration `key:"forget_after" rule:"optional,positive" live:"true" doc:"time without an event after which a closed path entry is dropped with its counts, default 10m"`
	LogSize     int           `key:"log_size" rule:"optional,min=1,max=1000000" live:"true" doc:"transitions kept in the log, default 256"`

	// Zeros lists keys, divided by commas: their zero is meant, where these
	// settings are laid over others and a zero means "as there". A breaker does
	// not read it; a settings file fills it in.
	Zeros string `key:"-" zeros:"true"`
}

// DefaultSettings returns the settings with every default filled in that is a
// constant: window, probe_timeout, hang_time and open_max follow other
// settings, and are 0.
func DefaultSettings() Settings {
	s := Settings{}.filled()
	s.Window, s.ProbeTimeout, s.HangTime, s.OpenMax = 0, 0, 0, 0
	return s
}

func (s Settings) filled() Settings {
	s.RequestTimeout = cmp.Or(s.RequestTimeout, 5*time.Second)
	s.OpenTimeout = cmp.Or(s.OpenTimeout, 10*time.Second)
	s.ClosedFailLimit = cmp.Or(s.ClosedFailLimit, 10)
	s.ClosedSuccessLimit = cmp.Or(s.ClosedSuccessLimit, 1)
	s.HalfFailLimit = cmp.Or(s.HalfFailLimit, 1)
	s.HalfSuccessLimit = cmp.Or(s.HalfSuccessLimit, 10)
	s.HalfProbeLimit = cmp.Or(s.HalfProbeLimit, 1)
	s.ProbeTimeout = cmp.Or(s.ProbeTimeout, s.RequestTimeout)
	s.CallerDeadline = cmp.Or(s.CallerDeadline, "failure")
	s.FailStatus = cmp.Or(s.FailStatus, "5xx,429")
	s.Trip = cmp.Or(s.Trip, "consecutive")
	if s.WindowCalls == 0 {
		s.Window = cmp.Or(s.Window, 30*time.Second)
	}
	s.MinCalls = cmp.Or(s.MinCalls, 20)
	s.FailureRate = cmp.Or(s.FailureRate, 0.5)
	s.SlowRate = cmp.Or(s.SlowRate, 0.8)
	s.HangTime = cmp.Or(s.HangTime, s.RequestTimeout)
	s.OpenBackoff = cmp.Or(s.OpenBackoff, "constant")
	s.OpenMax = cmp.Or(s.OpenMax, max(5*time.Minute, s.OpenTimeout))
	s.RetryAfter = cmp.Or(s.RetryAfter, "honor")
	s.HealthInterval = cmp.Or(s.HealthInterval, time.Second)
	s.Blame = cmp.Or(s.Blame, "deepest")
	s.MaxEntries = cmp.Or(s.MaxEntries, 1000)
	s.MaxDepth = cmp.Or(s.MaxDepth, 16)
	s.ForgetAfter = cmp.Or(s.ForgetAfter, 10*time.Minute)
	s.LogSize = cmp.Or(s.LogSize, 256)
	return s
}

// following is s with what differs between from and to.
func (s Settings) following(from, to Settings) Settings {
	v, was, is := reflect.ValueOf(&s).Elem(), reflect.ValueOf(from), reflect.ValueOf(to)
	for i := range v.NumField() {
		if !was.Field(i).Equal(is.Field(i)) {
			v.Field(i).Set(is.Field(i))
		}
	}
	return s
}

// Validate returns an error with everything that [Spawn] and [Breaker.SetSettings]
// would refuse.
func (s Settings) Validate() error {
	s = s.filled()
	var errs []error
	bad := func(ok bool, key, want string, got any) {
		if !ok {
			errs = append(errs, fmt.Errorf("%s must be %s, got %v", key, want, got))
		}
	}
	for _, d := range []struct {
		key string
		v   time.Duration
	}{
		{"request_timeout", s.RequestTimeout}, {"open_timeout", s.OpenTimeout}, {"probe_timeout", s.ProbeTimeout},
		{"hang_time", s.HangTime}, {"open_max", s.OpenMax}, {"health_interval", s.HealthInterval}, {"forget_after", s.ForgetAfter},
	} {
		bad(d.v > 0 && d.v <= maxTime, d.key, fmt.Sprintf("above 0 and at most %v", maxTime), d.v)
	}
	for _, d := range []struct {
		key string
		v   time.Duration
	}{{"window", s.Window}, {"slow_call", s.SlowCall}, {"ramp", s.Ramp}} {
		bad(d.v >= 0 && d.v <= maxTime, d.key, fmt.Sprintf("0 to %v", maxTime), d.v)
	}
	for _, n := range []struct {
		key string
		v   int
		max int
	}{
		{"closed_fail_limit", s.ClosedFailLimit, math.MaxInt32}, {"closed_success_limit", s.ClosedSuccessLimit, math.MaxInt32},
		{"half_fail_limit", s.HalfFailLimit, math.MaxInt32}, {"half_success_limit", s.HalfSuccessLimit, math.MaxInt32},
		{"half_probe_limit", s.HalfProbeLimit, math.MaxInt32}, {"min_calls", s.MinCalls, math.MaxInt32},
		{"max_entries", s.MaxEntries, 1_000_000}, {"max_depth", s.MaxDepth, maxDepth}, {"log_size", s.LogSize, 1_000_000},
	} {
		bad(n.v > 0 && n.v <= n.max, n.key, fmt.Sprintf("1 to %d", n.max), n.v)
	}
	bad(s.HangLimit >= 0 && s.HangLimit <= math.MaxInt32, "hang_limit", "0 or above", s.HangLimit)
	bad(s.WindowCalls >= 0 && s.WindowCalls <= 10_000, "window_calls", "0 to 10000", s.WindowCalls)
	if s.WindowCalls > 0 {
		bad(s.Window == 0, "window", "0 when window_calls is set", s.Window)
		bad(s.MinCalls <= s.WindowCalls, "min_calls",
			fmt.Sprintf("at most window_calls (%d), or no rate could ever open", s.WindowCalls), s.MinCalls)
	}
	bad(s.FailureRate > 0 && s.FailureRate <= 1, "failure_rate", "above 0 and at most 1", s.FailureRate)
	bad(s.SlowRate > 0 && s.SlowRate <= 1, "slow_rate", "above 0 and at most 1", s.SlowRate)
	bad(s.OpenJitter >= 0 && s.OpenJitter <= 1, "open_jitter", "0 to 1", s.OpenJitter)
	bad(s.OpenMax >= s.OpenTimeout, "open_max", fmt.Sprintf("at least open_timeout (%v)", s.OpenTimeout), s.OpenMax)
	bad(s.SlowCall == 0 || s.Trip == "rate", "slow_call", "0 unless trip is rate", s.SlowCall)
	oneOf := func(key, v, a, b string) { bad(v == a || v == b, key, a+" or "+b, fmt.Sprintf("%q", v)) }
	if _, err := parseStatuses(s.FailStatus); err != nil {
		errs = append(errs, err)
	}
	if _, err := parsePatience(s.Patience); err != nil {
		errs = append(errs, err)
	}
	if err := checkHealthURL(s.HealthURL); err != nil {
		errs = append(errs, err)
	}
	oneOf("caller_deadline", s.CallerDeadline, "failure", "neutral")
	oneOf("trip", s.Trip, "consecutive", "rate")
	oneOf("open_backoff", s.OpenBackoff, "constant", "exponential")
	oneOf("retry_after", s.RetryAfter, "honor", "ignore")
	oneOf("blame", s.Blame, "deepest", "all")
	return errors.Join(errs...)
}

// maxTime bounds every time, so that a sum of them and the clock is one too:
// ten years.
const maxTime = 10 * 365 * 24 * time.Hour

// maxDepth bounds max_depth, so that a walk down a path needs no allocation.
const maxDepth = 32

// config is filled and checked settings, in the form in which they are used.
type config struct {
	Settings
	statuses *statusSet     // fail_status
	patience []pathPatience // patience
}

// lastConfig is the settings used last: a program has many breakers, but few
// different settings.
var lastConfig atomic.Pointer[config]

func newConfig(s Settings) (*config, error) {
	s = s.filled()
	if last := lastConfig.Load(); last != nil && last.Settings == s {
		return last, nil
	}
	if err := s.Validate(); err != nil {
		return nil, err
	}
	statuses, _ := parseStatuses(s.FailStatus) // checked by Validate, as the next
	patience, _ := parsePatience(s.Patience)
	c := &config{s, statuses, patience}
	lastConfig.Store(c)
	return c, nil
}

// fails says whether a status code is a failure.
func (c *config) fails(status int) bool {
	return status >= 0 && status < 1000 && c.statuses[status/64]&(1<<(status%64)) != 0
}

// statusSet is a set of HTTP status codes, a bit each.
type statusSet [1000/64 + 1]uint64

func parseStatuses(list string) (*statusSet, error) {
	var set statusSet
	if strings.TrimSpace(list) == "none" {
		return &set, nil
	}
	for part := range strings.SplitSeq(list, ",") {
		part = strings.ToLower(strings.TrimSpace(part))
		from, to, ranged := strings.Cut(part, "-")
		if len(part) == 3 && strings.HasSuffix(part, "xx") {
			from, to, ranged = part[:1]+"00", part[:1]+"99", true
		}
		if !ranged {
			to = from
		}
		lo, err1 := strconv.Atoi(from)
		hi, err2 := strconv.Atoi(to)
		if err1 != nil || err2 != nil || lo < 100 || hi > 999 || lo > hi {
			return nil, fmt.Errorf("fail_status: %q is not a status: want a list like 5xx,429,400-404, or none", part)
		}
		for i := lo; i <= hi; i++ {
			set[i/64] |= 1 << (i % 64)
		}
	}
	return &set, nil
}
