package logger

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if runChild() {
		return
	}
	goleak.VerifyTestMain(m)
}

// sink is a writer that may be read while it is written to.
type sink struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (s *sink) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buf.Write(b)
}

func (s *sink) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buf.String()
}

// lines decodes what was written; a line that is no JSON object fails t.
func (s *sink) lines(t testing.TB) []map[string]any {
	t.Helper()
	var out []map[string]any
	for _, line := range bytes.Split([]byte(s.String()), []byte{'\n'}) {
		if len(line) == 0 {
			continue
		}
		m := map[string]any{}
		if err := json.Unmarshal(line, &m); err != nil {
			t.Fatalf("not a JSON object: %v\n%s", err, line)
		}
		out = append(out, m)
	}
	return out
}

func (s *sink) last(t testing.TB) map[string]any {
	t.Helper()
	lines := s.lines(t)
	if len(lines) == 0 {
		t.Fatal("nothing was written")
	}
	return lines[len(lines)-1]
}

func newLogger(t testing.TB, s Settings, w io.Writer, opts ...Option) *Logger {
	t.Helper()
	opts = append([]Option{WithOutput(w), WithErrorReport(func(line string) { t.Log(line) })}, opts...)
	l, err := New("mailer", s, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// newSystem makes an actor system that is quiet and leaves no goroutine.
func newSystem(t testing.TB, l *Logger) *actor.ActorSystem {
	t.Helper()
	factory := func(*actor.ActorSystem) *slog.Logger {
		return slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	if l != nil {
		l.SetLevel("actor", LevelEmergency) // its "actor system started" is not what is tested
		factory = l.SystemLogger()
	}
	system := actor.NewActorSystem(
		actor.WithLoggerFactory(factory),
		actor.WithDeadLetterThrottleInterval(time.Millisecond),
	)
	t.Cleanup(system.Shutdown)
	return system
}

func start(t testing.TB, l *Logger) *actor.PID {
	t.Helper()
	pid, err := l.Start(newSystem(t, l))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, l) })
	return pid
}

func stop(t testing.TB, l *Logger) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := l.Stop(ctx); err != nil {
		t.Error(err)
	}
}

func flush(t testing.TB, l *Logger) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := l.Flush(ctx); err != nil {
		t.Error(err)
	}
}

// balanced checks the one equation of the counters.
func balanced(t testing.TB, l *Logger) {
	t.Helper()
	for _, o := range l.Stats().Outputs {
		if o.Accepted != o.Written+o.Dropped+o.Pending {
			t.Errorf("output %s: accepted %d != written %d + dropped %d + pending %d", o.Name, o.Accepted, o.Written, o.Dropped, o.Pending)
		}
	}
}
