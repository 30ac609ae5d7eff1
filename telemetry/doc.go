// Package telemetry exports a service's traces, metrics and logs as the environment says:
// the variables OTEL_* of OpenTelemetry, and nothing in the code. It is a module of its
// own, so that a service without it has none of its dependencies.
//
//	func main() {
//		sys := telemetry.MustNew("orders") // in place of chassis.MustNew
//		...
//		if err := sys.Run(context.Background()); err != nil {
//			os.Exit(1)
//		}
//	}
//
//	OTEL_EXPORTER_OTLP_ENDPOINT=http://collector:4318 ./orders
//
// Without any of the variables [New] is chassis.New, and starts no goroutine.
//
// # What is exported
//
// Traces are the spans that the chassis makes (chassis.WithTracing). Metrics are those of
// /metrics, the service's own included, with or without a live page. Logs are the records
// of the service's log, with the job and the trace of their ctx, redacted as the outputs
// are. The resource has the service's name and version, an id of the process, the host,
// and what OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES say, which wins.
//
// # Which signals
//
// A signal is on if OTEL_TRACES_EXPORTER (_METRICS_, _LOGS_) names an exporter other than
// "none", or if that is not set and there is an endpoint: OTEL_EXPORTER_OTLP_ENDPOINT, or
// OTEL_EXPORTER_OTLP_TRACES_ENDPOINT for one signal. OTEL_SDK_DISABLED=true turns all
// off. Protocols, headers, certificates, sampling and times are OpenTelemetry's own
// variables.
//
// # Who owns what
//
// The SDK's batchers own what is not delivered yet, with bounds: what does not fit is
// dropped, and no caller waits. A collector that is away is one WARN a minute in the
// service's log; of metrics OpenTelemetry's own error handler has it.
//
// The log ends the exporters, as the last thing but the admin server: the record "stopped" arrives. That
// takes [FlushLimit] at most.
//
// To debug use OTEL_TRACES_EXPORTER=console. To test give the service a collector on
// loopback, as this package's own tests do.
package telemetry
