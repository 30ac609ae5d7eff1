package chassistest

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/actors/breaker"
	"github.com/sambatech/chassis/task"
)

var missive = task.Define[parcel]("missive", task.MaxFailures(12), task.Wait(2*time.Second, task.None))

// hosts are the addresses behind one name, in memory. Address number 3 is bad for a time.
type hosts struct {
	w    *World
	from time.Duration
	to   time.Duration

	mu     sync.Mutex
	served [5]int // requests, by address
	failed [5]int
}

// LookupNetIP implements breaker.Resolver.
func (h *hosts) LookupNetIP(context.Context, string, string) (all []netip.Addr, err error) {
	for i := range h.served {
		all = append(all, netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}))
	}
	return all, nil
}

// dial connects to an address, or to nothing: half of the time in which address 3 is bad, no
// connection is made to it.
func (h *hosts) dial(_ context.Context, _, addr string) (net.Conn, error) {
	at, err := netip.ParseAddrPort(addr)
	if err != nil {
		return nil, err
	}
	n := int(at.Addr().As4()[3])
	if now := h.w.Now(); n == 3 && now >= h.from && now < h.from+(h.to-h.from)/2 {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: errGone}
	}
	ours, theirs := net.Pipe()
	go h.serve(n, theirs)
	return ours, nil
}

// serve answers the requests of a connection until it is closed.
func (h *hosts) serve(n int, conn net.Conn) {
	defer conn.Close()
	in := bufio.NewReader(conn)
	for k := uint64(0); ; k++ {
		r, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		// Its time is its own: no two answers come at one instant.
		took := digestStart.text(r.URL.Path).number(k).number(uint64(n)).mixed() % uint64(20*time.Millisecond)
		time.Sleep(time.Duration(took))
		now, status := h.w.Now(), "200 OK"
		bad := n == 3 && now >= h.from && now < h.to
		if bad {
			status = "503 Service Unavailable"
		}
		h.mu.Lock()
		h.served[n]++
		if bad {
			h.failed[n]++
		}
		h.mu.Unlock()
		if _, err := fmt.Fprintf(conn, "HTTP/1.1 %s\r\nContent-Length: 0\r\n\r\n", status); err != nil {
			return
		}
	}
}

// addresses: a service with five addresses, and one of them is bad for two minutes. It costs no task
// its budget, whatever befalls the processes, and is in use again after that.
var addresses = playground{
	play: func(w *World) {
		h := &hosts{w: w, from: 20 * time.Second, to: 140 * time.Second}
		w.Service(func(p *Process) {
			base := &http.Transport{DialContext: h.dial, IdleConnTimeout: 5 * time.Second}
			policy := breaker.EjectOutliers()
			policy.Resolver = h
			b := p.Breaker("http://mail.internal")
			client := &http.Client{Transport: b.Transport(base, policy)}
			chassis.Handle(p.System, missive, func(ctx context.Context, job task.Job[parcel]) error {
				if err := postTo(ctx, client, "http://mail.internal/letters"); err != nil {
					return err
				}
				return w.Effect(ctx, "sent", job.Args.ID)
			})
		})
		for i := range 150 {
			SubmitAt(w, time.Duration(i)*2*time.Second+time.Duration(i), missive, parcel{i})
		}
		w.Eventually("a bad address costs no task its budget", func() error {
			for _, f := range w.book.order {
				if f.letters > 0 && f.redrives == 0 && f.touched[Cancel] == 0 {
					return fmt.Errorf("%s is a dead letter after %d failures", f.label, f.failures)
				}
			}
			return nil
		})
		w.Eventually("the bad address is left out", func() error {
			if n := h.failed[3]; n > 12*len(w.lives) {
				return fmt.Errorf("%d requests have failed there, in %d lives of processes", n, len(w.lives))
			}
			return nil
		})
		w.Eventually("no address is left out for good", func() error {
			for _, s := range w.seats {
				for _, a := range s.p.Breaker("http://mail.internal").Addresses() {
					if a.State == breaker.Open && time.Since(a.Until) > time.Minute {
						return fmt.Errorf("p%d leaves out %v since %v ago", s.number, a.Addr, time.Since(a.Until))
					}
				}
			}
			return nil
		})
	},
	opts: []StormOption{Fleet(2), Kinds(DieBefore, DieAfter, Deploy, CutOff, Suspend, Throttle, Apply, Pause, LateAnswer)},
}
