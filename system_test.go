package chassis_test

import (
	"context"
	"io"
	"path/filepath"
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

// BenchmarkStop is the stop of a system that has done nothing, of one that has started, and
// of one that has started on a queue file.
func BenchmarkStop(b *testing.B) {
	for _, name := range []string{"new", "started", "file"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			s := chassis.DefaultSettings()
			if name == "file" {
				s.Queue.Path = filepath.Join(b.TempDir(), "queue.db")
			}
			for b.Loop() {
				b.StopTimer()
				sys := newForBench(b, chassis.WithSettings(s))
				if name != "new" {
					if err := sys.Start(context.Background()); err != nil {
						b.Fatal(err)
					}
				}
				b.StartTimer()
				if err := sys.Stop(context.Background()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
