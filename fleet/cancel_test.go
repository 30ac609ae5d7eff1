//go:build unix

package fleet

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/actors/addresses"
)

// soon is how long a cancel takes from anywhere in the fleet, at most.
const soon = 50 * time.Millisecond

func (p *process) held() (h held) {
	p.t.Helper()
	if err := json.Unmarshal([]byte(p.order("held")), &h); err != nil {
		p.t.Error(err)
	}
	return h
}

// holders starts n members that run each executions of hold.
func holders(t *testing.T, n, each int) []*process {
	t.Helper()
	all := launch(t, n, fmt.Sprintf("%s=%d", holdVariable, each+1))
	for i, p := range all {
		p.order("hold p%d- %d", i, each)
	}
	for _, p := range all {
		eventually(t, "all run", 60*time.Second, func() bool { return p.held().Running == each })
	}
	return all
}

// allKnow waits until all members know all: a notice of one that is not known yet is not taken.
func allKnow(t *testing.T, f *Fleet, all []*process) {
	t.Helper()
	eventually(t, "all know all", 20*time.Second, sized(f, len(all)+1))
	for _, p := range all {
		eventually(t, "all know all", 20*time.Second, func() bool { return p.report().Members == len(all)+1 })
	}
}

// cancelAll cancels executions by a number of callers, each one after the other. It returns
// when each call began.
func cancelAll(t *testing.T, sys *chassis.System, ids []string, callers int) map[string]time.Time {
	t.Helper()
	next := make(chan string, len(ids))
	for _, id := range ids {
		next <- id
	}
	close(next)
	begun := map[string]time.Time{}
	var mu sync.Mutex // guards begun
	var work sync.WaitGroup
	for range callers {
		work.Go(func() {
			for id := range next {
				at := time.Now()
				mu.Lock()
				begun[id] = at
				mu.Unlock()
				if known, err := sys.Cancel(t.Context(), id); err != nil || known.Fleet != 1 || known.Posted != 0 {
					t.Errorf("%s: %+v, %v", id, known, err)
				}
			}
		})
	}
	work.Wait()
	return begun
}

// times returns how long each cancel took until the ctx of its handler was done, in order.
func times(t *testing.T, all []*process, begun map[string]time.Time) (list []time.Duration) {
	t.Helper()
	ended := 0
	for _, p := range all {
		for id, at := range p.held().Ended {
			from, was := begun[id]
			if !was || at == 0 {
				t.Errorf("%s has ended, cancelled %v, at %d", id, was, at)
				continue
			}
			ended++
			list = append(list, time.Unix(0, at).Sub(from))
		}
	}
	if ended != len(begun) {
		t.Errorf("%d of %d have ended", ended, len(begun))
	}
	slices.Sort(list)
	return list
}

// part returns the time that a part of them took at most.
func part(list []time.Duration, of float64) time.Duration {
	if len(list) == 0 {
		return 0
	}
	return list[int(of*float64(len(list)-1))].Round(10 * time.Microsecond)
}

// TestCancelsOfAFleet: real processes, none of which polls for notices. Executions that are
// chosen at random are cancelled from another process: all of them end, and no other.
func TestCancelsOfAFleet(t *testing.T) {
	processes, each := 3, 40
	if full() {
		processes, each = 10, 200
	}
	all := holders(t, processes, each)
	sys, f := joinAndStart(t, loopback(all[0].addr))
	allKnow(t, f, all)
	var ids []string
	for i := range processes {
		for n := range each {
			ids = append(ids, fmt.Sprintf("p%d-%d", i, n))
		}
	}
	rand.Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
	chosen := ids[:len(ids)/2]
	begun := cancelAll(t, sys, chosen[:len(chosen)/2], 1)
	for id, at := range cancelAll(t, sys, chosen[len(chosen)/2:], 8) {
		begun[id] = at
	}
	list := times(t, all, begun)
	t.Logf("%d processes, %d executions cancelled from another one, a half by one caller and a half by eight: "+
		"p50 %v, p99 %v, worst %v", processes, len(chosen), part(list, 0.5), part(list, 0.99), part(list, 1))
	if p50 := part(list, 0.5); p50 > soon {
		t.Errorf("a half took more than %v, want at most %v", p50, soon)
	}
	if p99 := part(list, 0.99); full() && p99 > soon {
		t.Errorf("one of a hundred took more than %v, want at most %v", p99, soon)
	}
	for _, p := range all {
		if h := p.held(); h.Running != each-len(h.Ended) {
			t.Errorf("%d run, %d were cancelled, of %d", h.Running, len(h.Ended), each)
		}
	}
	known, err := sys.Cancel(t.Context(), "nowhere")
	if err != nil || known != (chassis.Cancelled{Members: processes}) {
		t.Errorf("one that is nowhere: %+v, %v", known, err)
	}
}

// TestCancelsNextToAMemberThatHangs: one that is suspended, or dead, holds up no other. One
// that is suspended takes its notices when it goes on.
func TestCancelsNextToAMemberThatHangs(t *testing.T) {
	const processes = 4
	each := 10
	if full() {
		each = 100
	}
	all := holders(t, processes, each)
	sys, f := joinAndStart(t, loopback(all[0].addr))
	allKnow(t, f, all)
	suspended, killed, good := all[0], all[1], all[2:]
	suspended.signal(syscall.SIGSTOP)
	killed.signal(syscall.SIGKILL)
	var ids []string
	for n := 1; n < each; n++ {
		ids = append(ids, fmt.Sprintf("p2-%d", n), fmt.Sprintf("p3-%d", n))
	}
	list := times(t, good, cancelAll(t, sys, ids, 4))
	t.Logf("one of %d is suspended and one killed, %d executions of the others cancelled: p50 %v, p99 %v, worst %v",
		processes, len(ids), part(list, 0.5), part(list, 0.99), part(list, 1))
	if p50 := part(list, 0.5); p50 > soon {
		t.Errorf("a half took more than %v, want at most %v", p50, soon)
	}
	if p99 := part(list, 0.99); full() && p99 > soon {
		t.Errorf("one of a hundred took more than %v, want at most %v", p99, soon)
	}
	begun := time.Now()
	known, err := sys.Cancel(t.Context(), "p0-0") // of the suspended one
	took := time.Since(begun)
	if !errors.Is(err, addresses.ErrNobody) || !strings.Contains(err.Error(), "have not answered") || known.Fleet != 0 ||
		known.Members != 2 || known.Missing == 0 || took > 2*time.Second {
		t.Errorf("%+v, %v, after %v", known, err, took)
	}
	suspended.signal(syscall.SIGCONT)
	eventually(t, "the suspended one has taken it", 10*time.Second, func() bool { return len(suspended.held().Ended) == 1 })
	if h := suspended.held(); h.Running != each-1 || h.Ended["p0-0"] == 0 {
		t.Errorf("%+v", h)
	}

	// One that is cut off for a moment gets what was sent meanwhile.
	good[0].order("cut %s", f.net.addr)
	if known, err := sys.Cancel(t.Context(), "p2-0"); err == nil || known.Fleet != 0 || known.Missing == 0 {
		t.Errorf("%+v, %v", known, err)
	}
	if good[0].held().Ended["p2-0"] != 0 {
		t.Error("the network was not cut")
	}
	good[0].order("cut")
	eventually(t, "the one that was cut off has taken it", 5*time.Second, func() bool { return good[0].held().Ended["p2-0"] != 0 })
}
