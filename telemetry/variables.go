package telemetry

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"strconv"
	"strings"
)

// check returns everything that is wrong with the variables of OpenTelemetry. The SDK writes a line to stderr for most
// of it and goes on with a default, so that spans go to localhost; of a queue of -1 spans it panics.
func check(getenv func(string) string) error {
	var errs []error
	each := func(names []string, wrong func(value string) string) {
		for _, name := range names {
			value := strings.TrimSpace(getenv(name))
			if value == "" {
				continue // as if it were not set, by the specification
			}
			if problem := wrong(value); problem != "" {
				errs = append(errs, fmt.Errorf("%s: %s", name, problem))
			}
		}
	}
	each(ofSignals("ENDPOINT"), wrongEndpoint)
	each(ofSignals("HEADERS"), wrongHeaders)
	each(ofSignals("TIMEOUT"), wrongTime)
	for _, file := range []string{"CERTIFICATE", "CLIENT_CERTIFICATE", "CLIENT_KEY"} {
		each(ofSignals(file), wrongFile)
	}
	each(times, wrongTime)
	each(numbers, wrongNumber)
	each([]string{"OTEL_RESOURCE_ATTRIBUTES"}, wrongPairs)
	return errors.Join(errs...)
}

// numbers are milliseconds, or counts.
var numbers = []string{
	"OTEL_BSP_SCHEDULE_DELAY", "OTEL_BSP_MAX_QUEUE_SIZE", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE",
	"OTEL_BLRP_SCHEDULE_DELAY", "OTEL_BLRP_MAX_QUEUE_SIZE", "OTEL_BLRP_MAX_EXPORT_BATCH_SIZE",
	"OTEL_METRIC_EXPORT_INTERVAL",
}

// times are milliseconds; 0 is no limit.
var times = []string{"OTEL_BSP_EXPORT_TIMEOUT", "OTEL_BLRP_EXPORT_TIMEOUT", "OTEL_METRIC_EXPORT_TIMEOUT"}

// ofSignals are the names of a variable of the exporter: for all signals, and for each.
func ofSignals(name string) []string {
	const prefix = "OTEL_EXPORTER_OTLP_"
	return []string{prefix + name, prefix + "TRACES_" + name, prefix + "METRICS_" + name, prefix + "LOGS_" + name}
}

func wrongEndpoint(value string) string {
	u, err := url.Parse(value)
	if err == nil && (u.Host != "" && (u.Scheme == "http" || u.Scheme == "https") || u.Scheme == "unix") {
		return ""
	}
	return fmt.Sprintf("%q is no address of a collector: want one like http://collector:4318", value)
}

// wrongHeaders does not show values: there may be a key of an API among them.
func wrongHeaders(value string) string {
	for i, pair := range strings.Split(value, ",") {
		if strings.TrimSpace(pair) == "" {
			continue // after a comma at the end
		}
		name, v, found := strings.Cut(pair, "=")
		name = strings.TrimSpace(name)
		_, err := url.PathUnescape(strings.TrimSpace(v))
		if !found || err != nil || name == "" || strings.ContainsFunc(name, notInName) {
			return fmt.Sprintf("the header %d is wrong: want name=value, name=value, percent-encoded", i+1)
		}
	}
	return ""
}

// notInName reports whether a character may not be in the name of a header (RFC 9110).
func notInName(r rune) bool {
	return r <= ' ' || r > '~' || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, r)
}

func wrongPairs(value string) string {
	for pair := range strings.SplitSeq(value, ",") {
		key, v, found := strings.Cut(pair, "=")
		if _, err := url.PathUnescape(strings.TrimSpace(v)); !found || err != nil || strings.TrimSpace(key) == "" {
			return fmt.Sprintf("%q is wrong: want key=value, key=value, percent-encoded", pair)
		}
	}
	return ""
}

func wrongNumber(value string) string { return outside(value, 1) }
func wrongTime(value string) string   { return outside(value, 0) }

func outside(value string, least int) string {
	const most = 100_000_000 // 28 hours; a queue is made with its whole size
	if n, err := strconv.Atoi(value); err == nil && n >= least && n <= most {
		return ""
	}
	return fmt.Sprintf("it is %q: want a whole number of %d to %d", value, least, most)
}

func wrongFile(value string) string {
	if _, err := os.ReadFile(value); err != nil {
		return err.Error()
	}
	return ""
}
