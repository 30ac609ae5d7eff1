//go:build unix

package fleet

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sambatech/chassis/actors"
)

// TestRatesAreShared is the sum over ten processes, second by second.
func TestRatesAreShared(t *testing.T) {
	all := launch(t, 10)
	const limit = 200
	each(all, func(p *process) { p.order("rate mail %d 10", limit) })
	length, most, least := 5*time.Second, 1.25, 0.6 // the machine may be busy
	if full() {
		length, most, least = 20*time.Second, 1.05, 0.9
	}
	type phase struct {
		what     string
		from, to int64
		least    float64
	}
	var phases []phase
	run := func(what string, least float64, wants func(i int) float64) {
		for i, p := range all {
			if wants != nil {
				p.order("want %v", wants(i))
			}
		}
		from := time.Now()
		time.Sleep(length)
		phases = append(phases, phase{what, from.Unix() + 1, time.Now().Unix() - 1, least})
	}
	even := func(int) float64 { return 40 }
	run("even demand 400/s, from cold", least, even)
	run("one wants 300/s, nine 2/s", least, func(i int) float64 {
		if i == 0 {
			return 300
		}
		return 2
	})
	run("even again", least, even)
	cut := func(of, from []*process) {
		var addrs []string
		for _, p := range from {
			addrs = append(addrs, p.addr)
		}
		each(of, func(p *process) { p.order("cut %s", strings.Join(addrs, " ")) })
	}
	cut(all[:7], all[7:])
	cut(all[7:], all[:7])
	run("parted 7|3", least, nil)
	each(all, func(p *process) { p.order("cut") })
	run("healed", least, nil)
	all[9].signal(syscall.SIGSTOP)
	run("one is suspended", least-0.1, nil)
	all[9].signal(syscall.SIGCONT)
	run("and back", least-0.1, nil)

	sum := map[int64]int64{}
	for _, p := range all {
		for second, n := range p.report().Seconds {
			sum[second] += n
		}
	}
	for _, ph := range phases {
		var per []int64
		for s := ph.from; s <= ph.to; s++ {
			n := float64(sum[s])
			per = append(per, sum[s])
			if n > most*limit+2 {
				t.Errorf("%s: %v in second %d, at most %v", ph.what, n, s-ph.from+1, most*limit)
			}
			if s >= ph.from+3 && n < ph.least*limit {
				t.Errorf("%s: %v in second %d, at least %v", ph.what, n, s-ph.from+1, ph.least*limit)
			}
		}
		t.Logf("%-30s limit %d: %v", ph.what, limit, per)
	}
}

func TestRatesOfOne(t *testing.T) {
	_, f := joinAndStart(t, loopback(), WithSize(4))
	r, err := f.Rate("mail", 400)
	if err != nil {
		t.Fatal(err)
	}
	if r.Share() != 100 {
		t.Errorf("the first share of one of four is %v", r.Share())
	}
	if again, err := f.Rate("mail", 400); err != nil || again != r {
		t.Errorf("%v %v", again, err)
	}
	for name, limit := range map[string]float64{"mail": 300, "": 5, "zero": 0, strings.Repeat("x", 41): 5} {
		if _, err := f.Rate(name, limit); err == nil {
			t.Errorf("the rate %q of %v was taken", name, limit)
		}
	}
	n := 0
	for range 1000 {
		if r.Allow() {
			n++
		}
	}
	if n < 5 || n > 30 {
		t.Errorf("a burst of %d at 100/s", n)
	}
	if err := r.Wait(t.Context()); err != nil {
		t.Error(err)
	}
	_, err = actors.Ask[struct{}](t.Context(), f.sys.Actors(), f.pid, "nonsense")
	if err == nil {
		t.Error("the agent answers nonsense")
	}
}
