package server

import (
	"context"
	"errors"
	"image/color"
	"io"
	"log/slog"
	"math"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"

	"github.com/sambatech/chassis/server"
)

// The service of the test has workers that each do a request in work, like the
// connections of a database. That is its capacity: 32 requests a second, few enough
// for the machine to be no limit of its own.
const (
	workers  = 8
	work     = 250 * time.Millisecond
	capacity = float64(workers) / 0.25
	patience = 10 * time.Second // of a client
)

// call is what became of a request.
type call struct {
	at     time.Duration // since the start of the run
	took   time.Duration
	status int // 0: no answer within the client's patience
	probe  bool
}

// phases are those of a run: at the capacity, three times as much, and after it.
type phases struct{ before, over, after time.Duration }

func (p phases) all() time.Duration { return p.before + p.over + p.after }

// rate is the number of requests a second at a time. At the capacity means 90 % of it:
// with random arrivals the queue of a service that is asked for all it can do has no end.
func (p phases) rate(at time.Duration) float64 {
	if at >= p.before && at < p.before+p.over {
		return 3 * capacity
	}
	return 0.9 * capacity
}

// drive sends requests at random times, however long the answers take, and 20 probes a
// second with them.
func drive(t *testing.T, h http.Handler, p phases) []call {
	srv := httptest.NewServer(h)
	transport := &http.Transport{MaxIdleConnsPerHost: 5000}
	client := &http.Client{Transport: transport, Timeout: patience}
	var (
		mu    sync.Mutex
		calls []call
		under sync.WaitGroup
		begun = time.Now()
	)
	send := func(path string) {
		under.Go(func() {
			c := call{at: time.Since(begun), probe: path == "/livez"}
			from := time.Now()
			req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, srv.URL+path, nil)
			if err != nil {
				t.Error(err)
				return
			}
			if res, err := client.Do(req); err == nil {
				_, _ = io.Copy(io.Discard, res.Body)
				res.Body.Close()
				c.status = res.StatusCode
			}
			c.took = time.Since(from)
			mu.Lock()
			calls = append(calls, c)
			mu.Unlock()
		})
	}
	ended, cancel := context.WithTimeout(context.Background(), p.all())
	defer cancel()
	under.Go(func() {
		for tick := time.NewTicker(50 * time.Millisecond); ; {
			select {
			case <-tick.C:
				send("/livez")
			case <-ended.Done():
				tick.Stop()
				return
			}
		}
	})
	random := rand.New(rand.NewPCG(1, 2))
	next := time.Duration(0)
	for next < p.all() {
		time.Sleep(next - time.Since(begun))
		send("/orders/17")
		next += time.Duration(random.ExpFloat64() / p.rate(next) * float64(time.Second))
	}
	under.Wait()
	transport.CloseIdleConnections()
	srv.Close()
	return calls
}

// database makes the handler of the service: it waits for a worker, unless its client
// has gone. held returns how long a request has a worker: on a busy machine for more
// than the work.
func database() (h *http.ServeMux, held func() time.Duration) {
	free := make(chan struct{}, workers)
	var sum, n atomic.Int64
	m := http.NewServeMux()
	m.HandleFunc("GET /orders/{id}", func(w http.ResponseWriter, r *http.Request) {
		select {
		case free <- struct{}{}:
		case <-r.Context().Done():
			return
		}
		begun := time.Now()
		time.Sleep(work)
		<-free
		sum.Add(int64(time.Since(begun)))
		n.Add(1)
		_, _ = io.WriteString(w, "ok")
	})
	m.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") })
	return m, func() time.Duration { return time.Duration(sum.Load() / max(n.Load(), 1)) }
}

// percentile of the answers of 200 between two times, and their number and that of
// all others.
func percentile(calls []call, q float64, from, to time.Duration) (at time.Duration, ok, others int) {
	var took []time.Duration
	for _, c := range calls {
		switch {
		case c.probe || c.at < from || c.at >= to:
		case c.status == http.StatusOK:
			took = append(took, c.took)
		default:
			others++
		}
	}
	if len(took) == 0 {
		return 0, 0, others
	}
	slices.Sort(took)
	return took[int(math.Ceil(q*float64(len(took))))-1], len(took), others
}

// probes returns how many probes there were, and how many had no answer of 200.
func probes(calls []call) (all, failed int) {
	for _, c := range calls {
		if c.probe {
			all++
			if c.status != http.StatusOK {
				failed++
			}
		}
	}
	return all, failed
}

// At three times the capacity the accepted requests take less than twice as long (p99)
// as at the capacity, and no probe is shed; the same server without shedding is driven
// by the same requests.
func TestOverload(t *testing.T) {
	p := phases{3 * time.Second, 4 * time.Second, time.Second}
	full := os.Getenv("CHASSIS_SCALE") == "full"
	if full {
		p = phases{20 * time.Second, 30 * time.Second, 15 * time.Second}
	}
	shedding, held := database()
	with := drive(t, server.Middleware(nil, server.WithLevel(func(*server.Access) slog.Level { return server.NoLine }),
		server.WithShedding(server.Limits{}))(shedding), p)
	bare, _ := database()
	without := drive(t, bare, p)

	settled := p.before + p.over/4 // the first seconds are those in which the limit is found
	before, _, _ := percentile(with, 0.99, p.before/2, p.before)
	over, ok, shed := percentile(with, 0.99, settled, p.before+p.over)
	before2, _, _ := percentile(without, 0.99, p.before/2, p.before)
	over2, ok2, lost2 := percentile(without, 0.99, settled, p.before+p.over)
	seconds := (p.before + p.over - settled).Seconds()
	all, failed := probes(with)
	t.Logf("with shedding:    p99 %v at the capacity, %v at three times; %.0f answers a second, %.0f shed", before, over, float64(ok)/seconds, float64(shed)/seconds)
	t.Logf("without shedding: p99 %v at the capacity, %v at three times; %.0f answers a second, %.0f given up after %v", before2, over2, float64(ok2)/seconds, float64(lost2)/seconds, patience)
	t.Logf("probes: %d, %d without an answer of 200", all, failed)
	if failed > 0 || all == 0 {
		t.Errorf("%d of %d probes failed", failed, all)
	}
	if shed == 0 {
		t.Error("nothing was shed")
	}
	if !full {
		return // too short for a percentile
	}
	if over >= 2*before {
		t.Errorf("p99 is %v at three times the capacity, and %v at the capacity", over, before)
	}
	if can := workers / held().Seconds(); float64(ok)/seconds < 0.85*can {
		t.Errorf("%.0f requests a second are done, of %.0f that the workers can do", float64(ok)/seconds, can)
	}
	if err := draw(with, without, p, "../../docs/images/server-shedding.svg"); err != nil {
		t.Error(err)
	}
}

// draw plots the p99 of accepted requests second by second.
func draw(with, without []call, p phases, file string) error {
	c := plot.New()
	c.Title.Text = "p99 of accepted requests: at the capacity, at three times the capacity, and after it"
	c.X.Label.Text, c.Y.Label.Text = "seconds", "p99"
	c.Y.Scale = plot.LogScale{}
	c.Y.Tick.Marker = plot.ConstantTicks{{Value: 100, Label: "0.1 s"}, {Value: 300, Label: "0.3 s"}, {Value: 1000, Label: "1 s"},
		{Value: 3000, Label: "3 s"}, {Value: 10_000, Label: "10 s"}}
	c.Add(plotter.NewGrid())
	for _, s := range []struct {
		name  string
		calls []call
		color color.RGBA
	}{{"without shedding", without, color.RGBA{200, 60, 50, 255}}, {"with shedding", with, color.RGBA{40, 110, 190, 255}}} {
		var points plotter.XYs
		for at := time.Duration(0); at < p.all(); at += time.Second {
			if took, ok, _ := percentile(s.calls, 0.99, at, at+time.Second); ok > 0 {
				points = append(points, plotter.XY{X: at.Seconds(), Y: float64(took.Milliseconds())})
			}
		}
		if len(points) == 0 {
			return errors.New("there is nothing to draw")
		}
		line, err := plotter.NewLine(points)
		if err != nil {
			return err
		}
		line.Color, line.Width = s.color, vg.Points(1.5)
		c.Add(line)
		c.Legend.Add(s.name, line)
	}
	c.Legend.Top, c.Legend.Left = true, true
	c.Y.Min, c.Y.Max = 100, 30_000
	return c.Save(7*vg.Inch, 3.5*vg.Inch, file)
}
