package chassis

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sambatech/chassis/admin"
)

// office is how a system serves its live page, probes, API and metrics: the
// admin server, and what is kept for it.
type office struct {
	*life
	sys     *System
	whole   atomic.Bool // the system is a whole program's: [System.Run]
	metrics prometheus.Gatherer
	server  atomic.Pointer[admin.Server]
	began   time.Time
	census  census
	pulse   pulse
	dead    deadDesk
	origins origins
}

// life ends the goroutines that were started to answer somebody.
type life struct {
	ctx  context.Context
	end  context.CancelFunc
	work sync.WaitGroup
}

func newOffice(s *System, o *options) *office {
	l := &life{}
	l.ctx, l.end = context.WithCancel(context.Background())
	f := &office{life: l, sys: s, metrics: o.metrics, began: time.Now(), pulse: pulse{life: l},
		census: census{life: l, sys: s}, dead: deadDesk{sys: s, one: make(chan struct{}, 1)}, origins: origins{sys: s}}
	return f
}

// AdminURL is where the live page is, or "" if there is none (yet).
func (s *System) AdminURL() string {
	if server := s.office.server.Load(); server != nil {
		return server.URL()
	}
	return ""
}

// openOffice serves, unless the settings say that nobody is to be served.
func (s *System) openOffice() error {
	f, set := s.office, s.settings.Admin
	if set.Listen == admin.Off || set.Listen == "" && !f.whole.Load() {
		return nil
	}
	log := s.Logger("admin")
	f.origins.find()
	server, err := admin.New(f.config())
	if err != nil {
		return err
	}
	if err := server.Listen(); err != nil {
		if set.Listen != "" {
			return fmt.Errorf("%w, %w", err, server.Close(context.Background()))
		}
		log.Warn("the service has no live page, probes or metrics: its listener cannot be opened", "error", err)
		return server.Close(context.Background())
	}
	f.server.Store(server)
	attrs := []any{"url", server.URL()}
	if set.Listen == "" && !f.usual() {
		attrs = append(attrs, "because", admin.DefaultListen+" is taken; choose an address with admin.listen")
	}
	log.Info("live page, probes and metrics", attrs...)
	return nil
}

func (f *office) config() admin.Config {
	s := f.sys
	c := admin.Config{Settings: s.settings.Admin, Service: f, Queues: &f.census, Breakers: breakerDesk{s}, Logs: logDesk{s},
		Explain: &f.origins, Metrics: f.metrics, Logger: s.Logger("admin")}
	if s.pool() != "" {
		c.Tasks, c.Dead = taskDesk{s}, &f.dead
	}
	return c
}

func (f *office) usual() bool { return f.server.Load().URL() == "http://"+admin.DefaultListen+"/" }

// close is the last stage of a stop.
func (f *office) close(ctx context.Context) error {
	var err error
	if server := f.server.Load(); server != nil {
		err = server.Close(ctx)
	}
	f.end()
	f.work.Wait()
	return err
}

// Info implements admin.Service.
func (f *office) Info() admin.Info {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown host"
	}
	return admin.Info{Name: f.sys.name, Version: version(), GoVersion: runtime.Version(), Host: host, PID: os.Getpid(),
		State: f.sys.State().String(), Queue: f.sys.queue.what, Started: f.began.UTC()}
}

// Live implements admin.Service.
func (f *office) Live(ctx context.Context) admin.Liveness { return f.sys.alive(ctx) }

// Ready implements admin.Service.
func (f *office) Ready(ctx context.Context) admin.Readiness { return f.sys.Ready(ctx) }

// version is that of the program's main module, or its commit.
var version = sync.OnceValue(func() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return s.Value[:min(12, len(s.Value))]
		}
	}
	return ""
})

// logDesk shows the log and sets its levels.
type logDesk struct{ sys *System }

func (d logDesk) Tail(n int) []string { return d.sys.log.Tail(n) }

func (d logDesk) Follow(ctx context.Context, buffer int) <-chan string {
	return d.sys.log.Subscribe(ctx, buffer).Lines()
}

func (d logDesk) Log() admin.Log {
	stats := d.sys.log.Stats()
	l := admin.Log{Levels: stats.Levels}
	for _, o := range stats.Outputs {
		l.Outputs = append(l.Outputs, admin.LogOutput{Name: o.Name, Format: string(o.Format), Policy: string(o.Policy), Written: o.Written,
			Dropped: o.Dropped, Pending: o.Pending, Bytes: o.Bytes, Errors: o.Errors, Error: o.Error})
	}
	return l
}

func (d logDesk) SetLevel(name, level string) error {
	if level == "" {
		if name == "" {
			return fmt.Errorf("%w: the root's level cannot be given back: nothing is above it", admin.ErrInvalid)
		}
		d.sys.log.UnsetLevel(name)
		return nil
	}
	l, err := parseLevel(level)
	if err != nil {
		return fmt.Errorf("%w: %w", admin.ErrInvalid, err)
	}
	d.sys.log.SetLevel(name, l)
	return nil
}
