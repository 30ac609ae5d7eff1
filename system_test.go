package chassis_test

import (
	"context"
	"io"
	"testing"

	"github.com/sambatech/chassis"
)

func newForBench(b *testing.B, opts ...chassis.Option) *chassis.System {
	sys, err := chassis.New("bench", append(opts, chassis.WithLogOutput(io.Discard), chassis.WithoutDefaultLogger())...)
	if err != nil {
		b.Fatal(err)
	}
	return sys
}

// BenchmarkNew is what a process pays before its main function goes on: with settings
// at hand, and with those of chassis.yaml and the environment.
func BenchmarkNew(b *testing.B) {
	b.Chdir(b.TempDir())
	for name, opts := range map[string][]chassis.Option{"loaded": nil, "given": {chassis.WithSettings(chassis.DefaultSettings())}} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				sys := newForBench(b, opts...)
				b.StopTimer()
				if err := sys.Stop(context.Background()); err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
			}
		})
	}
}

// BenchmarkStop is the stop of a system that has done nothing, and of one that has started.
func BenchmarkStop(b *testing.B) {
	for name, start := range map[string]func(*chassis.System) error{
		"new":     func(*chassis.System) error { return nil },
		"started": func(s *chassis.System) error { return s.Start(context.Background()) },
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				b.StopTimer()
				sys := newForBench(b, chassis.WithSettings(chassis.DefaultSettings()))
				if err := start(sys); err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
				if err := sys.Stop(context.Background()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
