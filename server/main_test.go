package server

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/sambatech/chassis/actors/logger"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// lines is the log of a test: the chassis' own logger, which writes directly.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
	log *logger.Logger
}

func newLines(t *testing.T) *lines {
	t.Helper()
	l := &lines{}
	log, err := logger.New("orders", logger.Settings{Format: logger.FormatJSON, Level: "debug"}, logger.WithOutput(l))
	if err != nil {
		t.Fatal(err)
	}
	l.log = log
	t.Cleanup(func() { _ = log.Stop(context.Background()) })
	return l
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

// Logger makes lines a System.
func (l *lines) Logger(name string) *slog.Logger { return l.log.Named(name) }

// all returns the records with a message; "" for all.
func (l *lines) all(t *testing.T, message string) []map[string]any {
	t.Helper()
	_ = l.log.Flush(t.Context())
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []map[string]any
	for line := range strings.Lines(l.buf.String()) {
		var one map[string]any
		if err := json.Unmarshal([]byte(line), &one); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		if message == "" || one["msg"] == message {
			all = append(all, one)
		}
	}
	return all
}

// last returns the last access-log line.
func (l *lines) last(t *testing.T) map[string]any {
	t.Helper()
	all := l.all(t, "request")
	if len(all) == 0 {
		t.Fatal("there is no access-log line")
	}
	return all[len(all)-1]
}

// ask serves one request without a network.
func ask(h http.Handler, method, target string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, nil)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// write is a handler that writes a body.
func write(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) }
}

func muxOf(routes map[string]http.HandlerFunc) *http.ServeMux {
	mux := http.NewServeMux()
	for pattern, h := range routes {
		mux.HandleFunc(pattern, h)
	}
	return mux
}
