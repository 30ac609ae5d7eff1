package chassis

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sambatech/chassis/admin"
)

// console is how a system serves its live page, probes, API and metrics: the
// admin server, and what is kept for it.
type console struct {
	*background
	sys     *System
	whole   atomic.Bool // the system is a whole program's: [System.Run]
	metrics prometheus.Gatherer
	wrap    func(http.Handler) http.Handler
	server  atomic.Pointer[admin.Server]
	began   time.Time
	census  census
	dead    consoleDead
	origins origins
}

// background ends the goroutines that were started to answer somebody.
type background struct {
	ctx  context.Context
	end  context.CancelFunc
	work sync.WaitGroup
}

func newConsole(s *System, o *options) *console {
	l := &background{}
	l.ctx, l.end = context.WithCancel(context.Background())
	f := &console{background: l, sys: s, metrics: o.metrics, wrap: o.adminWrap, began: time.Now(),
		census: census{background: l, sys: s}, dead: consoleDead{sys: s, one: make(chan struct{}, 1)}, origins: origins{sys: s, given: o.source == nil}}
	return f
}

// AdminURL is where the live page is, or "" if there is none (yet).
func (s *System) AdminURL() string {
	if server := s.console.server.Load(); server != nil {
		return server.URL()
	}
	return ""
}

// openConsole serves, unless the settings say that nobody is to be served.
func (s *System) openConsole() error {
	f, set := s.console, s.settings.Admin
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

func (f *console) config() admin.Config {
	s := f.sys
	c := admin.Config{Settings: s.settings.Admin, Service: f, Queues: &f.census, Breakers: consoleBreakers{s}, Logs: consoleLog{s},
		Explain: &f.origins, Metrics: f.metrics, Wrap: f.wrap, Logger: s.Logger("admin"), Audit: s.log.Audit("audit"),
		Actors: func() admin.Actors {
			c := s.Lifecycle().Counts()
			return admin.Actors{Failed: c.Failures, Restarted: c.Restarts, Resumed: c.Resumes, Stopped: c.Stops, DeadLetters: c.DeadLetters}
		}}
	if s.pool() != "" {
		c.Tasks, c.Dead = consoleTasks{s}, &f.dead
	}
	return c
}

// apply puts new tokens in force.
func (f *console) apply(set admin.Settings) error {
	if server := f.server.Load(); server != nil {
		return server.Apply(set)
	}
	return nil
}

func (f *console) usual() bool { return f.server.Load().URL() == "http://"+admin.DefaultListen+"/" }

// close is the last stage of a stop.
func (f *console) close(ctx context.Context) error {
	var err error
	if server := f.server.Load(); server != nil {
		err = server.Close(ctx)
	}
	f.end()
	f.work.Wait()
	return err
}

// Info implements admin.Service.
func (f *console) Info() admin.Info {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown host"
	}
	return admin.Info{Name: f.sys.name, Version: version(), GoVersion: runtime.Version(), Host: host, PID: os.Getpid(),
		State: f.sys.State().String(), Queue: f.sys.queue.String(), Started: f.began.UTC()}
}

// Live implements admin.Service.
func (f *console) Live(ctx context.Context) admin.Liveness { return f.sys.alive(ctx) }

// Ready implements admin.Service.
func (f *console) Ready(ctx context.Context) admin.Readiness { return f.sys.Ready(ctx) }

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
