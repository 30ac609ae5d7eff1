package telemetry

import "strings"

// signals are those that are exported.
type signals struct{ traces, metrics, logs bool }

// chosen returns the signals that the environment turns on.
func chosen(lookup func(string) string) signals {
	if strings.EqualFold(strings.TrimSpace(lookup("OTEL_SDK_DISABLED")), "true") {
		return signals{}
	}
	on := func(signal string) bool {
		switch lookup("OTEL_" + signal + "_EXPORTER") {
		case "none":
			return false
		case "":
			return lookup("OTEL_EXPORTER_OTLP_ENDPOINT") != "" ||
				lookup("OTEL_EXPORTER_OTLP_"+signal+"_ENDPOINT") != ""
		}
		return true
	}
	return signals{on("TRACES"), on("METRICS"), on("LOGS")}
}
