package server

import (
	"net/http"
	"strconv"
	"time"
)

// Headers by which a caller says how long it waits.
const (
	TimeoutHeader     = "X-Request-Timeout" // "1.5" in seconds, "1500ms", "1m30s"
	grpcTimeoutHeader = "Grpc-Timeout"      // "1500m": at most eight digits and a unit of H, M, S, m, u, n
)

// callerTimeout returns how long the caller of a request waits, or 0 if its headers
// do not say. Of two headers the shorter time counts.
func callerTimeout(header http.Header) time.Duration {
	var shortest time.Duration
	take := func(d time.Duration, ok bool) {
		if ok && (shortest == 0 || d < shortest) {
			shortest = d
		}
	}
	if v := header[TimeoutHeader]; len(v) == 1 {
		take(parseTimeout(v[0]))
	}
	if v := header[grpcTimeoutHeader]; len(v) == 1 {
		take(parseGRPCTimeout(v[0]))
	}
	return shortest
}

// longestTimeout is as good as no end.
const longestTimeout = 365 * 24 * time.Hour

// maxTimeoutText is the longest text of a time that is looked at.
const maxTimeoutText = 32

// parseTimeout reads a number of seconds or a duration of Go; it is positive.
func parseTimeout(s string) (time.Duration, bool) {
	if s == "" || len(s) > maxTimeoutText {
		return 0, false
	}
	if c := s[len(s)-1]; c >= '0' && c <= '9' {
		seconds, err := strconv.ParseFloat(s, 64)
		// The comparison is false for NaN, and keeps a huge number from overflowing.
		if err != nil || !(seconds > 0 && seconds < longestTimeout.Seconds()) {
			return 0, false
		}
		return max(time.Duration(seconds*float64(time.Second)), 1), true
	}
	d, err := time.ParseDuration(s)
	return min(d, longestTimeout), err == nil && d > 0
}

// parseGRPCTimeout reads the form of gRPC over HTTP/2; it is positive.
func parseGRPCTimeout(s string) (time.Duration, bool) {
	if len(s) < 2 || len(s) > 9 {
		return 0, false
	}
	var unit time.Duration
	switch s[len(s)-1] {
	case 'H':
		unit = time.Hour
	case 'M':
		unit = time.Minute
	case 'S':
		unit = time.Second
	case 'm':
		unit = time.Millisecond
	case 'u':
		unit = time.Microsecond
	case 'n':
		unit = time.Nanosecond
	}
	n, err := strconv.ParseUint(s[:len(s)-1], 10, 32)
	if err != nil || unit == 0 || n == 0 {
		return 0, false
	}
	if n > uint64(longestTimeout/unit) {
		return longestTimeout, true // hours could overflow
	}
	return time.Duration(n) * unit, true
}

// formatTimeout writes a time as [TimeoutHeader] has it.
func formatTimeout(d time.Duration) string {
	return strconv.FormatFloat(d.Seconds(), 'f', -1, 64)
}
