//go:build unix

package task

import (
	"context"
	"encoding/json"
	"syscall"
	"testing"
	"time"
)

type benchReceipt struct {
	ID     string
	Amount int
}

// BenchmarkStep is the cost of a step in place: run and kept, or recalled from the
// journal. An attempt has ten of them.
func BenchmarkStep(b *testing.B) {
	run := func(ctx context.Context) error {
		for range 10 {
			_, err := Step(ctx, "charge", func(context.Context) (benchReceipt, error) {
				return benchReceipt{"ch_1234567890", 1250}, nil
			})
			if err != nil {
				return err
			}
		}
		return nil
	}
	b.Run("run", func(b *testing.B) {
		b.ReportAllocs()
		cpu := cpuTime()
		for b.Loop() {
			info := &Info{Task: "order", ExecID: "e"}
			if err := run(WithInfo(context.Background(), info)); err != nil {
				b.Fatal(err)
			}
		}
		report(b, cpu)
	})
	b.Run("run_list", func(b *testing.B) { // a result that others could change is JSON at once
		b.ReportAllocs()
		cpu := cpuTime()
		for b.Loop() {
			ctx := WithInfo(context.Background(), &Info{Task: "order", ExecID: "e"})
			for range 10 {
				_, err := Step(ctx, "charge", func(context.Context) ([]benchReceipt, error) {
					return []benchReceipt{{"ch_1234567890", 1250}}, nil
				})
				if err != nil {
					b.Fatal(err)
				}
			}
		}
		report(b, cpu)
	})
	b.Run("run_and_copy", func(b *testing.B) { // an attempt that fails: a copy would carry the results
		b.ReportAllocs()
		cpu := cpuTime()
		for b.Loop() {
			info := &Info{Task: "order", ExecID: "e"}
			if err := run(WithInfo(context.Background(), info)); err != nil {
				b.Fatal(err)
			}
			info.EndSteps().Wire()
		}
		report(b, cpu)
	})
	b.Run("json_alone", func(b *testing.B) { // the part of a step's run that is JSON
		b.ReportAllocs()
		cpu := cpuTime()
		for b.Loop() {
			for range 10 {
				data, err := json.Marshal(benchReceipt{"ch_1234567890", 1250})
				var back benchReceipt
				if err != nil || json.Unmarshal(data, &back) != nil {
					b.Fatal(err)
				}
			}
		}
		report(b, cpu)
	})
	b.Run("no_result", func(b *testing.B) {
		b.ReportAllocs()
		cpu := cpuTime()
		for b.Loop() {
			ctx := WithInfo(context.Background(), &Info{Task: "order", ExecID: "e"})
			for range 10 {
				if err := Do(ctx, "mail", func(context.Context) error { return nil }); err != nil {
					b.Fatal(err)
				}
			}
		}
		report(b, cpu)
	})
	b.Run("recalled", func(b *testing.B) {
		b.ReportAllocs()
		cpu := cpuTime()
		info := &Info{Task: "order", ExecID: "e"}
		if err := run(WithInfo(context.Background(), info)); err != nil {
			b.Fatal(err)
		}
		j := info.EndSteps()
		for b.Loop() {
			next := &Info{Task: "order", ExecID: "e"}
			next.Resume(j)
			if err := run(WithInfo(context.Background(), next)); err != nil {
				b.Fatal(err)
			}
			j = next.EndSteps()
		}
		report(b, cpu)
	})
	b.Run("cursor", func(b *testing.B) {
		b.ReportAllocs()
		cpu := cpuTime()
		ctx := WithInfo(context.Background(), &Info{Task: "order", ExecID: "e"})
		c, err := OpenCursor(ctx, "rows", int64(0))
		if err != nil {
			b.Fatal(err)
		}
		for b.Loop() {
			if err := c.Save(c.At() + 1); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(cpuTime()-cpu)/float64(b.N), "cpu-ns/row")
	})
}

// report adds the cost of one of ten steps. The time of the processor is the measure on a
// machine with other work.
func report(b *testing.B, cpu time.Duration) {
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/10, "ns/step")
	b.ReportMetric(float64(cpuTime()-cpu)/float64(b.N)/10, "cpu-ns/step")
}

// cpuTime is what the process has used up.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
