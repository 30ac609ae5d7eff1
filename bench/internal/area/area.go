// Package area names the benchmarks of this module, for the programs that run
// them.
package area

// Area is a package of benchmarks and how a round of it is run.
type Area struct {
	Name string
	Runs []Run
	// Profiled is the benchmark of ours that the page shows profiles of.
	Profiled Run
}

// Run is one call of the test binary.
type Run struct {
	Bench string // of -bench, all implementations
	Ours  string // of -bench, ours alone
	Time  string // of -benchtime
}

// All are the areas, in the order of the page.
var All = []Area{
	{"breaker", []Run{
		{"Success|Refusal|Failure", "(Success|Refusal|Failure|TransportDeadline)/^ours", "100ms"},
		{"Direct|Transport", "(Direct|Transport$)/./^ours", "100ms"},
	}, Run{Ours: "^BenchmarkTransport$/nobody/^ours$", Time: "2s"}},
	{"logger", []Run{
		{"Caller|Throughput|Discard|File|Five", "(Caller|Throughput|Discard|File|Five)/^ours", "200000x"},
		{"Bursty", "Bursty/^ours", "1x"},
	}, Run{Ours: "^BenchmarkCaller$/^ours$", Time: "1000000x"}},
	{"settings", []Run{{"Load", "Load/^ours", "300ms"}}, Run{Ours: "^BenchmarkLoadYAML$/^ours$", Time: "3s"}},
	{"queue", []Run{{"Send|ReceiveAndDelete", "(Send|ReceiveAndDelete)/^ours", "30000x"}}, Run{Ours: "^BenchmarkSend$/^ours-loopback$", Time: "200000x"}},
	{"tasks", []Run{
		{"InProcess|Loopback|Floor", "(InProcess|Loopback)/^ours", "40000x"},
		{"Slow", "Slow/^ours", "60000x"},
		{"^BenchmarkSend$", "^BenchmarkSend$/./^chassis", "5000x"},
		{"Latency", "Latency/./^ours", "1x"},
	}, Run{Ours: "^BenchmarkInProcess$/^ours$", Time: "200000x"}},
	{"server", []Run{{"Server", "Server/^ours", "20000x"}}, Run{Ours: "^BenchmarkServer$/^ours$", Time: "200000x"}},
	{"actors", []Run{{"Tell|Ask|Spawn", "(Tell|Ask|Spawn)/^ours", "300ms"}}, Run{Ours: "^BenchmarkSpawn$/^ours$", Time: "500000x"}},
}
