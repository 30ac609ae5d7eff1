// Package logger pairs the chassis' logger with the field's: what a call
// costs, what a pipe takes, and how long a call can take behind a reader that
// comes in bursts. Every logger writes the same record, JSON with a time, a
// level, a message, three ids and six attributes, to a pipe that another
// process reads.
package logger

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	phuslu "github.com/phuslu/log"
	"github.com/rs/zerolog"
	"go.uber.org/zap"
	"go.uber.org/zap/exp/zapslog"
	"go.uber.org/zap/zapcore"

	"github.com/sambatech/chassis/actors/logger"
	"github.com/sambatech/chassis/task"
)

const (
	service = "mailer"
	jobID   = "8e6b1c9e-5f1c-4a7e-9d2a-3f5f7d0c1b2a"
	jobName = "nightly import"
	message = "request was handled"

	method  = "POST"
	path    = "/v1/videos/42/renditions"
	status  = 201
	size    = int64(18230)
	ratio   = 0.8125
	elapsed = 12345 * time.Microsecond
)

// job is what the calls run under. The peers get the ids once, by With; the
// chassis reads them from the ctx of each call.
var job = task.WithInfo(context.Background(), &task.Info{JobID: jobID, JobName: jobName})

func TestMain(m *testing.M) {
	switch mode := os.Getenv("BENCH_READER"); mode {
	case "":
		os.Exit(m.Run())
	default:
		read(mode)
	}
}

// read is the other process: it reads the pipe on its stdin to the end, with
// mode "burst:pause_ms:bytes" resting after so many bytes, and says how
// many bytes and lines there were.
func read(mode string) {
	if pause, ok := parseBurst(mode); ok {
		burst(pause)
	}
	buf := make([]byte, 256<<10)
	var total, lines int
	for {
		n, err := os.Stdin.Read(buf)
		total += n
		lines += count(buf[:n])
		if err != nil {
			break
		}
	}
	_, _ = os.Stdout.WriteString(strconv.Itoa(total) + " " + strconv.Itoa(lines) + "\n")
}

func count(b []byte) (n int) {
	for _, c := range b {
		if c == '\n' {
			n++
		}
	}
	return n
}

// reader starts the other process and returns the pipe's write end and a
// function that waits for its end and tells the number of lines.
func reader(tb testing.TB, mode string) (*os.File, func() (lines int, cpu time.Duration)) {
	tb.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		tb.Fatal(err)
	}
	exe, err := os.Executable()
	if err != nil {
		tb.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), "BENCH_READER="+mode)
	cmd.Stdin = r
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	r.Close()
	return w, func() (int, time.Duration) {
		w.Close()
		line, _ := bufio.NewReader(out).ReadString('\n')
		if err := cmd.Wait(); err != nil {
			tb.Fatal(err)
		}
		_, after, _ := strings.Cut(strings.TrimSpace(line), " ")
		lines, _ := strconv.Atoi(after)
		return lines, cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	}
}

// cpu is the time that this process has had on all cores.
func cpu() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u) // cannot fail for this process
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// impl is one logger: call logs the record once, flush ends.
type impl struct {
	name string
	make func(tb testing.TB, w io.Writer) (call func(), flush func())
}

func slogCall(l *slog.Logger) func() {
	return func() {
		l.LogAttrs(job, slog.LevelInfo, message,
			slog.String("method", method), slog.String("path", path), slog.Int("status", status),
			slog.Int64("size", size), slog.Float64("ratio", ratio), slog.Duration("elapsed", elapsed))
	}
}

func withIDs(h slog.Handler) *slog.Logger {
	return slog.New(h).With("service", service, "job_id", jobID, "job_name", jobName)
}

func zapEncoder() zapcore.Encoder {
	c := zap.NewProductionEncoderConfig()
	c.EncodeTime = zapcore.RFC3339NanoTimeEncoder
	c.EncodeDuration = zapcore.NanosDurationEncoder
	return zapcore.NewJSONEncoder(c)
}

func zapOwn(core zapcore.Core) func() {
	l := zap.New(core).With(zap.String("service", service), zap.String("job_id", jobID), zap.String("job_name", jobName))
	return func() {
		l.Info(message, zap.String("method", method), zap.String("path", path), zap.Int("status", status),
			zap.Int64("size", size), zap.Float64("ratio", ratio), zap.Duration("elapsed", elapsed))
	}
}

func ours(tb testing.TB, w io.Writer) (*slog.Logger, func()) {
	l, err := logger.New(service, logger.Settings{Format: logger.FormatJSON}, logger.WithOutput(w))
	if err != nil {
		tb.Fatal(err)
	}
	system := actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger {
		return slog.New(slog.DiscardHandler)
	}), actor.WithDeadLetterThrottleInterval(time.Millisecond))
	if _, err := l.Start(system); err != nil {
		tb.Fatal(err)
	}
	return l.Slog(), func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if err := l.Stop(ctx); err != nil {
			tb.Fatal(err)
		}
		system.Shutdown()
	}
}

var impls = []impl{
	{"ours", func(tb testing.TB, w io.Writer) (func(), func()) {
		l, end := ours(tb, w)
		return slogCall(l), end
	}},
	{"slog.JSONHandler", func(_ testing.TB, w io.Writer) (func(), func()) {
		return slogCall(withIDs(slog.NewJSONHandler(w, nil))), func() {}
	}},
	{"zapslog", func(_ testing.TB, w io.Writer) (func(), func()) {
		core := zapcore.NewCore(zapEncoder(), zapcore.Lock(zapcore.AddSync(w)), zap.InfoLevel)
		return slogCall(withIDs(zapslog.NewHandler(core))), func() {}
	}},
	{"phuslu-slog", func(_ testing.TB, w io.Writer) (func(), func()) {
		return slogCall(withIDs(phuslu.SlogNewJSONHandler(w, nil))), func() {}
	}},
	{"zap", func(_ testing.TB, w io.Writer) (func(), func()) {
		return zapOwn(zapcore.NewCore(zapEncoder(), zapcore.Lock(zapcore.AddSync(w)), zap.InfoLevel)), func() {}
	}},
	{"zap-buffered", func(_ testing.TB, w io.Writer) (func(), func()) {
		ws := &zapcore.BufferedWriteSyncer{WS: zapcore.AddSync(w)}
		return zapOwn(zapcore.NewCore(zapEncoder(), ws, zap.InfoLevel)), func() { _ = ws.Stop() }
	}},
	{"zapslog-buffered", func(_ testing.TB, w io.Writer) (func(), func()) {
		ws := &zapcore.BufferedWriteSyncer{WS: zapcore.AddSync(w)}
		core := zapcore.NewCore(zapEncoder(), ws, zap.InfoLevel)
		return slogCall(withIDs(zapslog.NewHandler(core))), func() { _ = ws.Stop() }
	}},
	{"zerolog", func(_ testing.TB, w io.Writer) (func(), func()) {
		l := zerolog.New(w).With().Timestamp().Str("service", service).Str("job_id", jobID).Str("job_name", jobName).Logger()
		return func() {
			l.Info().Str("method", method).Str("path", path).Int("status", status).Int64("size", size).
				Float64("ratio", ratio).Dur("elapsed", elapsed).Msg(message)
		}, func() {}
	}},
	{"phuslu", func(_ testing.TB, w io.Writer) (func(), func()) {
		l := phuslu.Logger{Level: phuslu.InfoLevel, TimeFormat: time.RFC3339Nano, Writer: phuslu.IOWriter{Writer: w},
			Context: phuslu.NewContext(nil).Str("service", service).Str("job_id", jobID).Str("job_name", jobName).Value()}
		return func() {
			l.Info().Str("method", method).Str("path", path).Int("status", status).Int64("size", size).
				Float64("ratio", ratio).Dur("elapsed", elapsed).Msg(message)
		}, func() {}
	}},
}

// BenchmarkCaller is what one goroutine's call costs, to a pipe.
func BenchmarkCaller(b *testing.B) {
	for _, im := range impls {
		b.Run(im.name, func(b *testing.B) {
			w, wait := reader(b, "all")
			call, flush := im.make(b, w)
			call()
			began := cpu()
			b.ReportAllocs()
			b.ResetTimer()
			for range b.N {
				call()
			}
			b.StopTimer()
			flush()
			used := cpu() - began
			got, readers := wait()
			b.ReportMetric(float64(used+readers)/float64(b.N), "cpu-ns/op")
			if got != b.N+1 {
				b.Fatalf("%d of %d records arrived", got, b.N+1)
			}
		})
	}
}

// BenchmarkThroughput is what four producers get through a pipe, the last
// record flushed.
func BenchmarkThroughput(b *testing.B) {
	for _, im := range impls {
		b.Run(im.name, func(b *testing.B) {
			w, wait := reader(b, "all")
			call, flush := im.make(b, w)
			call()
			began := cpu()
			b.ResetTimer()
			const producers = 4
			var wg sync.WaitGroup
			for p := range producers {
				n := b.N / producers
				if p == 0 {
					n += b.N % producers
				}
				wg.Go(func() {
					for range n {
						call()
					}
				})
			}
			wg.Wait()
			flush()
			b.StopTimer()
			used := cpu() - began
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
			got, readers := wait()
			// What it costs both processes: it bounds the rate on any
			// number of cores, and tells more than the rate on a busy one.
			b.ReportMetric(float64(used+readers)/float64(b.N), "cpu-ns/op")
			if got != b.N+1 {
				b.Fatalf("%d of %d records arrived", got, b.N+1)
			}
		})
	}
}

// BenchmarkDiscard is a call without an output: what encoding costs.
func BenchmarkDiscard(b *testing.B) {
	for _, im := range impls {
		b.Run(im.name, func(b *testing.B) {
			call, flush := im.make(b, io.Discard)
			defer flush()
			b.ReportAllocs()
			for b.Loop() {
				call()
			}
		})
	}
}
