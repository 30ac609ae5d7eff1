package console

import (
	"context"
	"errors"
	"net/http"
	"os"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/sambatech/chassis/actors/breaker"
	"github.com/sambatech/chassis/actors/lifecycle"
	"github.com/sambatech/chassis/actors/logger"
	"github.com/sambatech/chassis/actors/pools"
	"github.com/sambatech/chassis/admin"
	"github.com/sambatech/chassis/health"
	"github.com/sambatech/chassis/internal/life"
	"github.com/sambatech/chassis/parts"
)

// Config is what a [Console] is made of. All but Metrics and Wrap is required.
type Config struct {
	Settings admin.Settings
	Name     string // of the service
	Queue    string // what the queue is, for people
	State    func() life.State
	Pools    *pools.Pools
	Checks   *health.Group
	Parts    *parts.Group
	Without  func() []string // components that do not make readiness say no
	Breakers *breaker.Group
	Log      *logger.Logger
	Actors   func() lifecycle.Counts

	Source   Source
	Applying *sync.Mutex // held while settings change

	Metrics prometheus.Gatherer             // the service's own; nil: none
	Wrap    func(http.Handler) http.Handler // around the admin server; nil: none
}

// Console serves the live page, probes, API and metrics of one service.
type Console struct {
	cfg     Config
	began   time.Time
	server  atomic.Pointer[admin.Server] // nil until opened, and without a listener
	origins origins

	gathering sync.Mutex    // guards what follows
	apart     *admin.Server // that gathers metrics where there is no live page; nil until asked for
	closed    bool
}

// New returns a console that does not serve yet.
func New(cfg Config) *Console {
	c := &Console{cfg: cfg, began: time.Now()}
	c.origins.cfg = &c.cfg
	return c
}

// Open serves, unless the settings say off. Without an address in the settings it
// serves if always is set, and a port that cannot be had is no error then.
func (c *Console) Open(always bool) error {
	set := c.cfg.Settings
	if set.Listen == admin.Off || set.Listen == "" && !always {
		return nil
	}
	c.origins.find()
	log := c.cfg.Log.Named("admin")
	server, err := admin.New(c.config())
	if err != nil {
		return err
	}
	if err := server.Listen(); err != nil {
		if set.Listen != "" {
			return errors.Join(err, server.Close(context.Background()))
		}
		log.Warn("the service has no live page, probes or metrics: its listener cannot be opened", "error", err)
		return server.Close(context.Background())
	}
	c.server.Store(server)
	attrs := []any{"url", server.URL()}
	if set.Listen == "" && server.URL() != "http://"+admin.DefaultListen+"/" {
		attrs = append(attrs, "because", admin.DefaultListen+" is taken; choose an address with admin.listen")
	}
	log.Info("live page, probes and metrics", attrs...)
	return nil
}

func (c *Console) config() admin.Config {
	cfg := admin.Config{
		Settings: c.cfg.Settings, Service: service{c}, Queues: c.cfg.Pools.Queues, Breakers: breakers{c.cfg.Breakers},
		Logs: logs{c.cfg.Log}, Actors: c.cfg.Actors, Explain: c.origins.Settings,
		Checks: c.cfg.Checks.Status, Parts: c.cfg.Parts.Status,
		Metrics: c.cfg.Metrics, Wrap: c.cfg.Wrap, Logger: c.cfg.Log.Named("admin"), Audit: c.cfg.Log.Audit("audit"),
	}
	if fleet, ok := parts.Find[admin.Fleet](c.cfg.Parts); ok {
		cfg.Fleet = fleet
	}
	if c.cfg.Pools.Names()[0] != "" {
		cfg.Schedules = times{c.cfg.Pools}
		cfg.Tasks, cfg.Dead = tasks{c.cfg.Pools, c.cfg.State}, &dead{c.cfg.Pools, make(chan struct{}, 1)}
	}
	return cfg
}

// URL is where the live page is, or "" if there is no page (yet).
func (c *Console) URL() string {
	if server := c.server.Load(); server != nil {
		return server.URL()
	}
	return ""
}

// Ready says whether the service may get work. It returns within two seconds.
func (c *Console) Ready(ctx context.Context) admin.Readiness {
	state := c.cfg.State()
	return admin.NewReadiness(state.String(), c.cfg.Pools.Ready(ctx, state), c.cfg.Checks.Status(), c.cfg.Without())
}

// Apply puts new tokens in force.
func (c *Console) Apply(set admin.Settings) error {
	if server := c.server.Load(); server != nil {
		return server.Apply(set)
	}
	return nil
}

// Explain has the page say where the settings in force come from, after a change.
// It is called under [Config.Applying].
func (c *Console) Explain() {
	if c.server.Load() != nil {
		c.origins.find()
	}
}

// Gather implements prometheus.Gatherer: what /metrics shows, with a live page or
// without, until [Console.Close].
func (c *Console) Gather() ([]*dto.MetricFamily, error) {
	server := c.server.Load()
	if server == nil {
		c.gathering.Lock()
		defer c.gathering.Unlock()
		if c.closed {
			return nil, errors.New("gather the metrics: the service has stopped")
		}
		if c.apart == nil {
			var err error
			if c.apart, err = admin.New(c.config()); err != nil {
				return nil, err
			}
		}
		server = c.apart
	}
	return server.Gather()
}

// Close ends the server. It waits for requests until ctx ends.
func (c *Console) Close(ctx context.Context) error {
	c.gathering.Lock()
	c.closed = true
	if c.apart != nil {
		_ = c.apart.Close(ctx) // it has no listener, and nothing that may fail
	}
	c.gathering.Unlock()
	if server := c.server.Load(); server != nil {
		return server.Close(ctx)
	}
	return nil
}

// service implements [admin.Service].
type service struct{ *Console }

func (s service) Info() admin.Info {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown host"
	}
	return admin.Info{
		Name: s.cfg.Name, Version: version(), GoVersion: runtime.Version(), Host: host, PID: os.Getpid(),
		State: s.cfg.State().String(), Queue: s.cfg.Queue, Started: s.began.UTC(),
	}
}

func (s service) Live(ctx context.Context) pools.Liveness {
	return s.cfg.Pools.Alive(ctx, s.cfg.State())
}

func (s service) Ready(ctx context.Context) admin.Readiness { return s.Console.Ready(ctx) }

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
