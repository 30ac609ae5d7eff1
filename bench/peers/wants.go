package main

// want is one comparison that the project promises, or only shows.
type want struct {
	area, bench string // Benchmark<bench> of ./<area>
	ours, peer  string // its sub-benchmarks; the peer "" is a plain limit on ours
	unit        string // ns/op and cpu-ns/op: and allocs/op: less is better; …/s: more is better
	want        float64
}

// wants are the promises, area by area. A ratio above 1 is in our favour. A
// want of 0 is no promise: the ratio is there to be known; but with a plain
// limit it is the limit, and nothing is allowed.
var wants = []want{
	{"breaker", "Direct/success", "ours", "", "ns/op", 6},
	{"breaker", "Direct/parallel", "ours", "", "ns/op", 4},
	{"breaker", "Direct/refusal", "ours", "", "ns/op", 6},
	{"breaker", "Direct/success", "ours", "limit", "ns/op", 0},
	{"breaker", "Direct/success", "ours", "limit-defer", "ns/op", 0},
	{"breaker", "Direct/parallel", "ours", "limit", "ns/op", 0},
	{"breaker", "Direct/success", "ours", "", "allocs/op", 0},
	{"breaker", "Direct/refusal", "ours", "", "allocs/op", 0},
	{"breaker", "Success", "ours", "gobreaker", "ns/op", 20},
	{"breaker", "Success", "ours", "failsafe", "ns/op", 20},
	{"breaker", "Success", "ours", "hystrix", "ns/op", 20},
	{"breaker", "Success", "ours", "limit", "ns/op", 0},
	{"breaker", "SuccessParallel", "ours", "gobreaker", "ns/op", 20},
	{"breaker", "SuccessParallel", "ours", "failsafe", "ns/op", 20},
	{"breaker", "Refusal", "ours", "gobreaker", "ns/op", 8},
	{"breaker", "Refusal", "ours", "failsafe", "ns/op", 8},
	{"breaker", "SuccessParallel", "ours", "hystrix", "ns/op", 20},
	{"breaker", "RefusalParallel", "ours", "gobreaker", "ns/op", 8},
	{"breaker", "RefusalParallel", "ours", "failsafe", "ns/op", 8},
	{"breaker", "Failure", "ours", "gobreaker", "ns/op", 1 / 1.1},
	{"breaker", "Failure", "ours", "", "allocs/op", 0},
	{"breaker", "Transport/nobody", "ours", "", "ns/op", 150},
	{"breaker", "Transport/nobody", "ours", "failsafe", "ns/op", 0},
	{"breaker", "Transport/nobody", "ours", "copy", "ns/op", 0},

	{"logger", "Caller", "ours", "slog.JSONHandler", "ns/op", 2},
	{"logger", "Caller", "ours", "zapslog", "ns/op", 1 / 0.75},
	{"logger", "Caller", "ours", "phuslu-slog", "ns/op", 1 / 0.75},
	{"logger", "Five", "ours", "", "allocs/op", 0},
	{"logger", "Caller", "ours", "zerolog", "ns/op", 0},
	{"logger", "Discard", "ours", "slog.JSONHandler", "ns/op", 0},
	{"logger", "File", "ours", "slog.JSONHandler", "ns/op", 0},
	{"logger", "Throughput", "ours", "zap-buffered", "records/s", 1.3},
	{"logger", "Throughput", "ours", "slog.JSONHandler", "records/s", 3},
	{"logger", "Bursty", "ours", "", "p99.9-µs", 200},
	{"logger", "Bursty", "ours", "", "max-µs", 10_000},

	{"settings", "LoadYAML", "ours", "raw", "ns/op", 1},
	{"settings", "LoadYAML", "ours", "koanf", "ns/op", 2},
	{"settings", "LoadYAML", "ours", "viper", "ns/op", 1.3},

	{"settings", "LoadMixed", "ours", "raw", "ns/op", 1},
	{"settings", "LoadMixed", "ours", "koanf", "ns/op", 2},
	{"settings", "LoadMixed", "ours", "viper", "ns/op", 1.3},

	{"queue", "Send", "ours-loopback", "fauxqs", "msg/s", 1.2},
	{"queue", "Send", "ours-disk-loopback", "fauxqs-disk", "msg/s", 5},
	{"queue", "Send", "ours", "fauxqs", "msg/s", 3},
	{"queue", "ReceiveAndDelete", "ours-loopback", "fauxqs", "msg/s", 1.2},
	{"queue", "ReceiveAndDelete", "ours-disk-loopback", "fauxqs-disk", "msg/s", 5},
	{"queue", "ReceiveAndDelete", "ours", "fauxqs", "msg/s", 3},

	{"tasks", "InProcess", "ours", "", "tasks/s", 60_000},
	{"tasks", "InProcess", "ours", "hand-written", "tasks/s", 0},
	{"tasks", "Loopback", "ours", "hand-written", "tasks/s", 1},
	{"tasks", "Loopback", "ours", "hand-written", "cpu-ns/op", 1 / 0.8},
	{"tasks", "InProcess", "ours", "hand-written", "cpu-ns/op", 1 / 0.65},
	{"tasks", "InProcess", "ours", "", "allocs/op", 38},
	{"tasks", "Loopback", "ours", "", "allocs/op", 52},

	{"tasks", "Send/in-process", "chassis-serial", "sdk-serial", "ns/op", 1},
	{"tasks", "Send/in-process", "chassis-serial", "", "allocs/op", 90},
	{"tasks", "Send/loopback", "chassis-serial", "sdk-serial", "ns/op", 1},
	{"tasks", "Send/loopback", "chassis-serial", "", "allocs/op", 165},

	{"tasks", "SlowAmongFast", "ours", "without-slow", "tasks/s", 0.95},
	{"tasks", "Loopback", "ours", "asynq", "tasks/s", 0},
	{"tasks", "Loopback", "ours", "river", "tasks/s", 0},

	{"tasks", "Latency/1-idle", "ours", "hand-written", "p50-µs", 1 / 1.1},
	{"tasks", "Latency/1-idle", "ours", "hand-written", "p99-µs", 1 / 1.1},
	{"tasks", "Latency/100-idle", "ours", "hand-written", "p50-µs", 1 / 1.1},
	{"tasks", "Latency/100-idle", "ours", "hand-written", "p99-µs", 1 / 1.1},
	{"tasks", "Latency/1000-idle", "ours", "hand-written", "p50-µs", 1 / 1.1},
	{"tasks", "Latency/1000-idle", "ours", "hand-written", "p99-µs", 1 / 1.1},
	{"tasks", "Latency/1-busy", "ours", "hand-written", "p50-µs", 1 / 1.1},
	{"tasks", "Latency/1-busy", "ours", "hand-written", "p99-µs", 1 / 1.1},
	{"tasks", "Latency/100-busy", "ours", "hand-written", "p50-µs", 1 / 1.1},
	{"tasks", "Latency/100-busy", "ours", "hand-written", "p99-µs", 1 / 1.1},
	{"tasks", "Latency/1000-busy", "ours", "hand-written", "p50-µs", 1 / 1.1},
	{"tasks", "Latency/1000-busy", "ours", "hand-written", "p99-µs", 1 / 1.1},
	{"tasks", "Latency/1-idle", "ours", "asynq", "p50-µs", 0},
	{"tasks", "Latency/1-idle", "ours", "river", "p50-µs", 0},
	{"tasks", "Latency/100-idle", "ours", "asynq", "p50-µs", 0},
	{"tasks", "Latency/100-idle", "ours", "river", "p50-µs", 0},

	{"server", "Server", "ours", "otelhttp", "ns/op", 1},
	{"server", "Server", "ours", "chi", "ns/op", 0},
	{"server", "Server", "ours", "", "ns/op", 1650},  // 1.5 µs over the bare mux
	{"server", "Server", "ours", "", "allocs/op", 5}, // 3 over the bare mux and its handler

	{"actors", "Tell", "ours", "channel", "ns/op", 0},
	{"actors", "Ask", "ours", "channel", "ns/op", 0},
	{"actors", "Spawn", "ours", "goroutine", "ns/op", 0},
}
