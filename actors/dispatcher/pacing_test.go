package dispatcher

import (
	"fmt"
	"testing"
	"time"

	"github.com/sambatech/chassis/task"
	"pgregory.net/rapid"
)

var epoch = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

func TestSlotsOfTheGroupsLieBetweenOneAnother(t *testing.T) {
	rate := Rate{10, time.Second}
	starts := map[time.Duration]int{} // since the first, of all groups
	var first time.Time
	for i := range 3 {
		p := newPacing(rate, 3, fmt.Sprint("acme#", i), epoch, 0)
		for now := p.begin(p.at(epoch) + 1); now.Before(epoch.Add(10 * time.Second)); {
			now = now.Add(p.wait(now))
			if first.IsZero() {
				first = now
			}
			starts[now.Sub(first).Round(time.Millisecond)]++
			p.start(now)
			now = now.Add(time.Millisecond)
		}
	}
	for at, n := range starts {
		if n != 1 || at.Abs()%(100*time.Millisecond) != 0 {
			t.Errorf("%d starts %v after the first: want one each 100 ms", n, at)
		}
	}
	for second := time.Second; second < 9*time.Second; second += time.Second {
		n := 0
		for at := range starts {
			if at >= second && at < second+time.Second {
				n++
			}
		}
		if n != 10 {
			t.Errorf("%d starts in the second from %v on, at 10/s", n, second)
		}
	}
}

// TestASlotIsUsedOnce by any holder of the group, with clocks that differ by a part of a
// slot, and work that takes anything. It is not left unused either while there is work.
func TestASlotIsUsedOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rate := Rate{rapid.IntRange(1, 50).Draw(t, "rate"), rapid.SampledFrom([]time.Duration{time.Second, time.Minute}).Draw(t, "per")}
		n := rapid.IntRange(1, 5).Draw(t, "running")
		slot := rate.slot(n)
		skews := rapid.SliceOfN(rapid.Int64Range(-int64(slot)/9, int64(slot)/9), 3, 3).Draw(t, "skews")
		group := fmt.Sprint("acme#", rapid.IntRange(0, n-1).Draw(t, "group"))
		now, begun := epoch, time.Time{}
		used := map[int64]bool{}
		latency := time.Duration(rapid.Int64Range(0, int64(slot)/9).Draw(t, "latency"))
		total := 0
		for range rapid.IntRange(2, 40).Draw(t, "holders") {
			skew := time.Duration(skews[rapid.IntRange(0, 2).Draw(t, "holder")])
			now = now.Add(latency)
			p := newPacing(rate, n, group, now, skew)
			for range rapid.IntRange(1, 10).Draw(t, "messages") {
				now = now.Add(p.wait(now))
				if k := p.at(now); used[k] {
					t.Fatalf("slot %d is used twice", k)
				} else {
					used[k] = true
				}
				if !begun.IsZero() && now.Sub(begun) < slot*19/20-2*slot/9-2 {
					t.Fatalf("two starts are %v apart, a slot is %v", now.Sub(begun), slot)
				}
				begun = now
				p.start(now)
				total++
				now = now.Add(time.Duration(rapid.Int64Range(0, int64(slot)*2).Draw(t, "took")))
			}
			now = now.Add(p.rest(now))
		}
	})
}

// TestNoSlotIsLostWhenTheHolderChanges after each message.
func TestNoSlotIsLostWhenTheHolderChanges(t *testing.T) {
	rate := Rate{10, time.Second}
	p := newPacing(rate, 3, "acme#1", epoch, 0)
	now, first := p.begin(p.at(epoch)+1), time.Time{}
	for i := range 100 {
		p := newPacing(rate, 3, "acme#1", now, 0)
		now = now.Add(p.wait(now))
		if i == 0 {
			first = now
		} else if want := first.Add(time.Duration(i) * 300 * time.Millisecond); now.Sub(want).Abs() > time.Millisecond {
			t.Fatalf("start %d at %v, want %v", i, now.Sub(first), want.Sub(first))
		}
		p.start(now)
		now = now.Add(10 * time.Millisecond) // its work
		now = now.Add(p.rest(now))
		now = now.Add(50 * time.Millisecond) // until another process has the next message
	}
}

// TestAGroupAfterACrash waits for a slot that cannot have been used, where the lease is
// shorter than a slot.
func TestAGroupAfterACrash(t *testing.T) {
	for _, c := range []struct {
		receives int
		lease    time.Duration
		least    time.Duration
	}{
		{1, time.Second, 0}, {2, time.Minute, 0}, {2, time.Second, 6 * time.Second},
	} {
		d := &dispatcher{core: &core{Settings: Settings{Limits: Limits{TenantLimits{3, Rate{30, time.Minute}}}}}}
		g := &group{id: "acme#0"}
		e := &execution{received: epoch, receives: int32(c.receives), asked: c.lease, msg: task.Message{Tenant: "acme"}}
		d.pace(g, e)
		if w := g.pacing.wait(epoch); w < c.least || c.least == 0 && w > 6*time.Second {
			t.Errorf("%d receives, a lease of %v: waits %v", c.receives, c.lease, w)
		}
	}
}
