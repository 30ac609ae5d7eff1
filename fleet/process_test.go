//go:build unix

package fleet

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/sambatech/chassis/actors/breaker"
)

// process is a member that runs as a process of its own.
type process struct {
	t    testing.TB
	cmd  *exec.Cmd
	addr string
	mu   sync.Mutex // one order at a time
	in   io.Writer
	out  *bufio.Scanner
}

// launch starts n members, and waits until all know all.
func launch(t *testing.T, n int, env ...string) []*process {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var all []*process
	seeds := "-"
	for range n {
		cmd := exec.CommandContext(t.Context(), exe)
		cmd.Env = append(append(os.Environ(), nodeVariable+"="+seeds), env...)
		cmd.Stderr = os.Stderr
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		p := &process{t: t, cmd: cmd, in: in, out: bufio.NewScanner(out)}
		p.out.Buffer(nil, 4<<20)
		t.Cleanup(func() {
			_ = cmd.Process.Signal(syscall.SIGCONT)
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		})
		if !p.out.Scan() {
			t.Fatal("a member did not start")
		}
		p.addr = p.out.Text()
		if seeds == "-" {
			seeds = p.addr
		} else if strings.Count(seeds, ",") < 2 {
			seeds += "," + p.addr
		}
		all = append(all, p)
	}
	eventually(t, "all know all", 30*time.Second, func() bool {
		for _, p := range all {
			if p.report().Members != n {
				return false
			}
		}
		return true
	})
	return all
}

func (p *process) order(format string, args ...any) string {
	p.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, err := fmt.Fprintf(p.in, format+"\n", args...); err != nil {
		p.t.Error(err)
		return ""
	}
	if !p.out.Scan() {
		p.t.Errorf("a member has ended: %s", fmt.Sprintf(format, args...))
	}
	return p.out.Text()
}

func (p *process) report() (r report) {
	p.t.Helper()
	if err := json.Unmarshal([]byte(p.order("report")), &r); err != nil {
		p.t.Error(err)
	}
	return r
}

func (p *process) signal(s syscall.Signal) {
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Error(err)
	}
}

// remote is a service that can be down, for some members or all. It counts its calls.
type remote struct {
	*httptest.Server
	down   atomic.Bool
	only   atomic.Pointer[map[string]bool] // down for these alone
	calls  atomic.Int64
	now    atomic.Int64
	most   atomic.Int64 // at once
	slowly atomic.Int64 // time of a call, ns
}

func newRemote(t *testing.T) *remote {
	r := &remote{}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		r.calls.Add(1)
		r.most.Store(max(r.most.Load(), r.now.Add(1)))
		defer r.now.Add(-1)
		time.Sleep(time.Duration(r.slowly.Load()))
		only := r.only.Load()
		if r.down.Load() && (only == nil || (*only)[q.Header.Get("Member")]) {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	t.Cleanup(r.Close)
	return r
}

func each(all []*process, f func(p *process)) {
	var done sync.WaitGroup
	for _, p := range all {
		done.Go(func() { f(p) })
	}
	done.Wait()
}

// until waits until all members' breakers are in one of the states.
func until(t *testing.T, all []*process, within time.Duration, states ...breaker.State) {
	t.Helper()
	eventually(t, fmt.Sprintf("all %v", states), within, func() bool {
		ok := atomic.Bool{}
		ok.Store(true)
		each(all, func(p *process) {
			if !slices.Contains(states, p.report().State) {
				ok.Store(false)
			}
		})
		return ok.Load()
	})
}

// TestTheThirdTripReachesAll: ten processes, three of them trip, and the others doubt.
func TestTheThirdTripReachesAll(t *testing.T) {
	all := launch(t, 10)
	r := newRemote(t)
	each(all, func(p *process) { p.order("load %s 0.001", r.URL) })
	rounds := 5
	if full() {
		rounds = 50
	}
	for _, muted := range []bool{false, true} {
		t.Run(fmt.Sprintf("straight packets lost %v", muted), func(t *testing.T) {
			limit, word := 100*time.Millisecond, "off"
			if muted { // all straight packets are lost: gossip alone
				limit, word = time.Second, "on"
			}
			each(all, func(p *process) { p.order("mute %s", word) })
			var times []time.Duration
			for range rounds {
				until(t, all, 30*time.Second, breaker.Closed)
				order := rand.Perm(len(all))
				for _, i := range order[:3] {
					all[i].order("trip")
				}
				third := all[order[2]].report().Since
				until(t, all, 10*time.Second, breaker.Open, breaker.HalfOpen)
				var mu sync.Mutex
				last, late := third, all[0] // under mu
				each(all, func(p *process) {
					at := p.report().Since
					mu.Lock()
					defer mu.Unlock()
					if at.After(last) {
						last, late = at, p
					}
				})
				times = append(times, last.Sub(third))
				if last.Sub(third) > limit {
					t.Logf("%v in one round, the third trip was at %s; the last member to follow has heard:\n%s\nand the third to trip:\n%s",
						last.Sub(third), third.Format("05.000"), late.order("heard"), all[order[2]].order("heard"))
				}
				recoverAll(t, all, r)
			}
			slices.Sort(times)
			t.Logf("straight packets lost: %v; %d rounds, third trip to all: median %v, worst %v", muted, rounds,
				times[len(times)/2], times[len(times)-1])
			if worst := times[len(times)-1]; worst > limit && full() {
				t.Errorf("the worst of %d rounds took %v, want at most %v", rounds, worst, limit)
			} else if times[len(times)/2] > limit {
				t.Errorf("the median of %d rounds is %v, want at most %v", rounds, times[len(times)/2], limit)
			}
		})
	}
}

// recoverAll lets all members call until they are closed, and stops their calls again.
func recoverAll(t *testing.T, all []*process, r *remote) {
	t.Helper()
	each(all, func(p *process) { p.order("load %s 50", r.URL) })
	until(t, all, 30*time.Second, breaker.Closed)
	each(all, func(p *process) { p.order("load %s 0.001", r.URL) })
	time.Sleep(50 * time.Millisecond)
}

// TestAnOutageForAFleet: while the service is down hardly a call reaches it, and one
// member finds out for all that it is back.
func TestAnOutageForAFleet(t *testing.T) {
	all := launch(t, 10)
	r := newRemote(t)
	r.slowly.Store(int64(time.Millisecond))
	each(all, func(p *process) { p.order("load %s 20", r.URL) })
	time.Sleep(time.Second)
	r.down.Store(true)
	until(t, all, 10*time.Second, breaker.Open, breaker.HalfOpen)
	time.Sleep(time.Second) // the doubts
	outage := 10 * time.Second
	if full() {
		outage = time.Minute
	}
	r.calls.Store(0)
	r.most.Store(0)
	time.Sleep(outage)
	calls, most := r.calls.Load(), r.most.Load()
	terms := float64(outage) / float64(openTime)
	r.calls.Store(0)
	r.down.Store(false)
	until(t, all, 30*time.Second, breaker.Closed)
	back := r.calls.Load()
	t.Logf("an outage of %v: %d calls, %.2f an open time, at most %d at once; %d calls until all were closed (and reported)",
		outage, calls, float64(calls)/terms, most, back)
	if float64(calls) > 1.2*terms+1 || most > 1 {
		t.Errorf("%d calls in %v open times, at most %d at once: want 1.2 an open time and one at once", calls, terms, most)
	}
}

// TestAServiceThatIsDownForSome: members that reach it are not held up by those that do not.
func TestAServiceThatIsDownForSome(t *testing.T) {
	all := launch(t, 10)
	r := newRemote(t)
	only := map[string]bool{}
	for _, p := range all[:6] {
		only[fmt.Sprint(p.cmd.Process.Pid)] = true
	}
	r.only.Store(&only)
	each(all, func(p *process) { p.order("load %s 20", r.URL) })
	time.Sleep(time.Second)
	r.down.Store(true)
	sum := func() (ok, refused int64) {
		for _, p := range all[6:] {
			x := p.report()
			ok, refused = ok+x.OK, refused+x.Refused
		}
		return ok, refused
	}
	okBefore, refusedBefore := sum()
	begun := time.Now()
	length := 8 * time.Second
	if full() {
		length = time.Minute
	}
	time.Sleep(length)
	ok, refused := sum()
	ok, refused = ok-okBefore, refused-refusedBefore
	want := 4 * 20 * time.Since(begun).Seconds()
	t.Logf("down for six of ten, %v: the other four had %d calls of %.0f (%.1f %%), %d refused", length, ok, want,
		100*float64(ok)/want, refused)
	if float64(ok) < 0.95*want {
		t.Errorf("the healthy made %d calls, %.0f without a fleet: want 95 %%", ok, want)
	}
}

// TestProbersThatAreKilledSuspendedAndParted: the fleet recovers without them.
func TestProbersThatAreKilledSuspendedAndParted(t *testing.T) {
	all := launch(t, 10)
	r := newRemote(t)
	r.slowly.Store(int64(700 * time.Millisecond)) // so that a probe is in flight for long
	each(all, func(p *process) { p.order("load %s 20", r.URL) })
	for i, harm := range []string{"killed", "suspended", "parted"} {
		r.down.Store(true)
		until(t, all, 30*time.Second, breaker.Open) // the doubts are over
		var prober *process
		eventually(t, "a prober", 20*time.Second, func() bool {
			for _, p := range all {
				if p.report().State == breaker.HalfOpen && r.now.Load() > 0 {
					prober = p
					return true
				}
			}
			return false
		})
		var rest []*process
		var addrs []string
		for _, p := range all {
			if p != prober {
				rest = append(rest, p)
				addrs = append(addrs, p.addr)
			}
		}
		switch harm {
		case "killed":
			prober.signal(syscall.SIGKILL)
		case "suspended":
			prober.signal(syscall.SIGSTOP)
		case "parted":
			prober.order("cut %s", strings.Join(addrs, " "))
			each(rest, func(p *process) { p.order("cut %s", prober.addr) })
		}
		r.calls.Store(0)
		begun := time.Now()
		eventually(t, "the next probe", 20*time.Second, func() bool { return r.calls.Load() > 0 })
		next := time.Since(begun)
		r.down.Store(false)
		until(t, rest, 60*time.Second, breaker.Closed)
		t.Logf("the prober is %s: the next probe after %v, all closed after %v", harm, next, time.Since(begun))
		switch harm {
		case "killed":
			all = rest
		case "suspended":
			prober.signal(syscall.SIGCONT)
			until(t, []*process{prober}, 60*time.Second, breaker.Closed)
			eventually(t, "the suspended one is back", 30*time.Second, func() bool { return prober.report().Members >= 10-1-i+1 })
		case "parted":
			each(all, func(p *process) { p.order("cut") })
			until(t, all, 60*time.Second, breaker.Closed)
		}
	}
}

// TestAPartedFleetFindsItselfAgain: memberlist alone forgets the other half for good.
func TestAPartedFleetFindsItselfAgain(t *testing.T) {
	all := launch(t, 4)
	far, near := all[3], all[:3]
	var addrs []string
	for _, p := range near {
		addrs = append(addrs, p.addr)
		p.order("cut %s", far.addr)
	}
	far.order("cut %s", strings.Join(addrs, " "))
	took := eventually(t, "both sides notice", 2*time.Minute, func() bool {
		return far.report().Members == 1 && near[0].report().Members == 3
	})
	each(all, func(p *process) { p.order("cut") })
	back := eventually(t, "all know all again", time.Minute, func() bool {
		for _, p := range all {
			if p.report().Members != 4 {
				return false
			}
		}
		return true
	})
	t.Logf("parted: noticed after %v; together again %v after the end of it", took, back)
}
