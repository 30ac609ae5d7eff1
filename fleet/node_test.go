package fleet

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/memberlist"

	"github.com/sambatech/chassis/actors/breaker"
)

// nodeVariable makes the test binary a member of a fleet. It has the addresses of the
// seeds, or "-".
const nodeVariable = "CHASSIS_FLEET_NODE"

// openTime is that of the members' breakers.
const openTime = 2 * time.Second

// report is what a member that runs as a process of its own says of itself.
type report struct {
	Members  int
	State    breaker.State
	Admitted int64 // calls that reached the service
	OK       int64
	Failed   int64
	Refused  int64
	Since    time.Time       // of the last transition
	Seconds  map[int64]int64 // calls that a rate admitted, by the second
}

// runNode is the main function of a member. It reads orders from stdin, a line each, and
// answers each with a line.
func runNode() {
	if err := node(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// parted is a network in which some addresses are beyond reach.
type parted struct {
	memberlist.NodeAwareTransport
	beyond atomic.Pointer[map[string]bool]
	in     chan *memberlist.Packet
}

func (p *parted) cut(addr string) bool { m := p.beyond.Load(); return m != nil && (*m)[addr] }

func (p *parted) WriteToAddress(b []byte, a memberlist.Address) (time.Time, error) {
	if p.cut(a.Addr) {
		return time.Now(), nil
	}
	return p.NodeAwareTransport.WriteToAddress(b, a)
}

func (p *parted) DialAddressTimeout(a memberlist.Address, d time.Duration) (net.Conn, error) {
	if p.cut(a.Addr) {
		time.Sleep(min(d, time.Second))
		return nil, errors.New("no route")
	}
	return p.NodeAwareTransport.DialAddressTimeout(a, d)
}

func (p *parted) PacketCh() <-chan *memberlist.Packet { return p.in }

func (p *parted) filter() {
	for packet := range p.NodeAwareTransport.PacketCh() {
		if !p.cut(packet.From.String()) {
			p.in <- packet
		}
	}
}

func node() error {
	sys, err := systemOf(breaker.Settings{OpenTimeout: openTime})
	if err != nil {
		return err
	}
	s := Settings{Bind: "127.0.0.1:0"}
	if seeds := os.Getenv(nodeVariable); seeds != "-" {
		s.Seeds = strings.Split(seeds, ",")
	}
	f, err := Join(sys, s)
	if err != nil {
		return err
	}
	var p *parted
	f.wrap = func(t memberlist.NodeAwareTransport) memberlist.NodeAwareTransport {
		p = &parted{NodeAwareTransport: t, in: make(chan *memberlist.Packet, 64)}
		go p.filter()
		return p
	}
	var heard hearsay
	f.net.post = heard.around(f, f.net.post)
	work := holdAll(sys)
	if err := sys.Start(context.Background()); err != nil {
		return err
	}
	fmt.Println(f.net.addr)
	var load *loader
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		words := strings.Fields(in.Text())
		switch words[0] {
		case "load": // load URL calls-a-second
			rate, err := strconv.ParseFloat(words[2], 64)
			if err != nil {
				return err
			}
			if load == nil {
				load = &loader{b: sys.Breaker(words[1]), url: words[1], client: &http.Client{Timeout: time.Second}}
				go load.run()
			}
			load.every.Store(int64(float64(time.Second) / max(rate, 0.001)))
		case "trip":
			for range 10 {
				_ = load.b.Do(context.Background(), "", down)
			}
		case "mute":
			f.net.mute.Store(words[1] == "on")
		case "cut":
			beyond := map[string]bool{}
			for _, a := range words[1:] {
				beyond[a] = true
			}
			p.beyond.Store(&beyond)
		case "rate": // rate name limit size
			limit, _ := strconv.ParseFloat(words[2], 64)
			f.rates.size, _ = strconv.Atoi(words[3])
			r, err := f.Rate(words[1], limit)
			if err != nil {
				return err
			}
			if load == nil {
				load = &loader{rate: r, seconds: map[int64]int64{}}
				go load.run()
			}
		case "want":
			want, _ := strconv.ParseFloat(words[1], 64)
			load.every.Store(int64(float64(time.Second) / want))
		case "heard":
			lines := heard.all()
			for _, t := range load.b.Transitions(0) {
				lines = append(lines, fmt.Sprintf("%s %v to %v: %s", t.At.Format("05.000"), t.From, t.To, t.Reason))
			}
			slices.Sort(lines)
			if err := json.NewEncoder(os.Stdout).Encode(lines[max(0, len(lines)-60):]); err != nil {
				return err
			}
			continue
		case "hold": // hold prefix number
			number, _ := strconv.Atoi(words[2])
			if err := work.send(sys, words[1], number); err != nil {
				return err
			}
		case "held":
			if err := json.NewEncoder(os.Stdout).Encode(work.report()); err != nil {
				return err
			}
			continue
		case "report":
			list, err := f.Members(context.Background())
			if err != nil {
				return err
			}
			r := report{Members: len(list)}
			if load != nil {
				r.OK, r.Failed, r.Refused = load.ok.Load(), load.failed.Load(), load.refused.Load()
				r.Admitted = r.OK + r.Failed
				load.mu.Lock()
				r.Seconds = maps.Clone(load.seconds)
				load.mu.Unlock()
			}
			if load != nil && load.b != nil {
				r.State = load.b.State()
				if log := load.b.Transitions(0); len(log) > 0 {
					r.Since = log[len(log)-1].At
				}
			}
			if err := json.NewEncoder(os.Stdout).Encode(r); err != nil {
				return err
			}
			continue
		}
		fmt.Println("done")
	}
	return sys.Stop(context.Background())
}

// hearsay is what a member has heard lately, for a test that fails.
type hearsay struct {
	mu    sync.Mutex // guards lines
	lines []string
}

func (h *hearsay) all() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.lines)
}

// around keeps what goes by on its way to the agent.
func (h *hearsay) around(f *Fleet, post func(any)) func(any) {
	return func(m any) {
		line := time.Now().Format("05.000 ")
		switch m := m.(type) {
		case heard:
			if len(m.message.Words) == 0 {
				break
			}
			for _, w := range m.message.Words {
				line += fmt.Sprintf(" %s v%d kind %d round %d closed %d;", w.Member[max(0, len(w.Member)-8):], w.Version, w.Kind, w.Round, w.Closed)
			}
			h.keep(line)
		case joined:
			h.keep(line + "joined " + m.name)
		case left:
			h.keep(line + "left " + m.name)
		}
		post(m)
	}
}

func (h *hearsay) keep(line string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.lines = append(h.lines[max(0, len(h.lines)-400):], line)
}

// loader makes calls through a breaker, or under a shared rate.
type loader struct {
	b                   *breaker.Breaker
	rate                *Rate
	url                 string
	client              *http.Client
	every               atomic.Int64
	ok, failed, refused atomic.Int64

	mu      sync.Mutex // guards the rest
	seconds map[int64]int64
}

func (l *loader) run() {
	at, was := time.Now(), time.Duration(0)
	for {
		every := time.Duration(l.every.Load())
		if every != was {
			at, was = time.Now().Add(every), every
		}
		if every == 0 {
			time.Sleep(time.Millisecond)
			continue
		}
		if wait := time.Until(at); wait > 0 {
			time.Sleep(min(wait, 20*time.Millisecond))
			continue
		}
		if at = at.Add(every); time.Since(at) > time.Second { // it was suspended
			at = time.Now()
		}
		if l.rate != nil {
			if l.rate.Allow() {
				l.ok.Add(1)
				l.mu.Lock()
				l.seconds[time.Now().Unix()]++
				l.mu.Unlock()
			} else {
				l.refused.Add(1)
			}
			continue
		}
		l.call()
	}
}

func (l *loader) call() {
	err := l.b.Do(context.Background(), "", func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, l.url, nil)
		if err != nil {
			return err
		}
		req.Header.Set("Member", strconv.Itoa(os.Getpid()))
		res, err := l.client.Do(req)
		if err != nil {
			return err
		}
		_ = res.Body.Close()
		if res.StatusCode >= 500 {
			return errDown
		}
		return nil
	})
	switch {
	case err == nil:
		l.ok.Add(1)
	case errors.Is(err, breaker.ErrOpen):
		l.refused.Add(1)
	default:
		l.failed.Add(1)
	}
}
