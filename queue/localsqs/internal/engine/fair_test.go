package engine

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// fairRig is a standard queue with AsAWS. Its receives take one message by a long poll.
type fairRig struct {
	t   *testing.T
	e   *Engine
	q   *Queue
	now int64
}

func newFairRig(t *testing.T, cfg Config, name string) *fairRig {
	t.Helper()
	cfg.Account, cfg.AsAWS, cfg.NewID = "0", true, func() [16]byte { return [16]byte{1} }
	r := &fairRig{t: t, e: New(cfg), now: start}
	attrs := map[string]string{}
	if strings.HasSuffix(name, ".fifo") {
		attrs["FifoQueue"] = "true"
	}
	var err *Error
	if r.q, err = r.e.CreateQueue(start, Key{"r", name}, attrs, nil); err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *fairRig) send(group string, n int) {
	for range n {
		id := fmt.Sprint(r.e.lastSeq)
		r.e.Send(r.now, r.q, &SendInput{Content: &Content{Body: "x", DedupID: id}, Delay: QueueDelay, Group: group})
	}
	r.e.Flush(r.now)
}

// pass lets time pass, as a server does: what is due is done at its time.
func (r *fairRig) pass(d int64) {
	r.now += d
	for at, ok := r.e.NextTimer(); ok && at < r.now; at, ok = r.e.NextTimer() {
		r.e.Advance(at)
	}
	r.e.Advance(r.now)
}

// receive returns the groups of n messages in the order of their receives, "-" where
// there was none; they stay in flight.
func (r *fairRig) receive(n int) (groups []string, messages []Received) {
	r.t.Helper()
	for range n {
		w := &Waiter{Queue: r.q, Max: 1, Visibility: MaxVisibility, Wait: 1}
		if !r.e.Receive(r.now, w) {
			r.e.Cancel(w)
			groups = append(groups, "-")
			continue
		}
		if w.Err != nil {
			r.t.Fatal(w.Err)
		}
		groups, messages = append(groups, w.Messages[0].Group), append(messages, w.Messages[0])
	}
	return groups, messages
}

// run receives a message, which must be of the group, and deletes it after a time.
func (r *fairRig) run(group string, took int64) {
	r.t.Helper()
	groups, messages := r.receive(1)
	if groups[0] != group {
		r.t.Fatalf("a message of group %q came, want one of %q", groups[0], group)
	}
	r.pass(took)
	r.delete(messages[0])
}

func (r *fairRig) delete(m Received) {
	r.t.Helper()
	if err := r.e.Delete(r.q, string(r.e.AppendReceipt(nil, &m))); err != nil {
		r.t.Fatal(err)
	}
}

func (r *fairRig) noisy() (names []string) {
	for name, t := range r.q.fair.tenants {
		if t.isNoisy {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func count(list []string, what string) (n int) {
	for _, s := range list {
		if s == what {
			n++
		}
	}
	return n
}

// A group with a tenth of what is in flight, and 30 messages, comes after the others.
func TestAsAWSANoisyGroupComesLast(t *testing.T) {
	r := newFairRig(t, Config{Seed: 1}, "q")
	r.send("big", 500)
	for i := range 8 {
		r.send(fmt.Sprint("small", i), 5)
	}
	first, _ := r.receive(30)
	if n := count(first, "big"); n != 30 {
		t.Errorf("of the first 30 messages %d are of the oldest group, want all: it is not noisy yet", n)
	}
	then, _ := r.receive(40)
	if n := count(then, "big"); n != 0 {
		t.Errorf("%d messages of the noisy group came while others waited", n)
	}
	if last, _ := r.receive(5); count(last, "big") != 5 {
		t.Errorf("when no other waits the noisy group is served, but %q came", last)
	}
	// Quiet groups that send now come first again.
	r.send("small0", 3)
	if next, _ := r.receive(4); count(next, "small0") != 3 || next[3] != "big" {
		t.Errorf("%q came, want 3 of small0 first", next)
	}
}

// A tenth or less of what is in flight is no noise, however many they are.
func TestAsAWSATenthIsNoNoise(t *testing.T) {
	r := newFairRig(t, Config{Seed: 2}, "q")
	for i := range 12 {
		r.send(fmt.Sprint("g", i), 40)
	}
	r.receive(480)
	r.send("g0", 1) // of 40 in flight of 480
	r.send("g1", 1)
	r.receive(1)
	if noisy := r.noisy(); len(noisy) > 0 {
		t.Errorf("noisy are %q", noisy)
	}
}

// Few messages that are slow are noise, too.
func TestAsAWSASlowGroupIsNoisy(t *testing.T) {
	r := newFairRig(t, Config{Seed: 3}, "q")
	for range 20 {
		r.send("quick", 1)
		r.run("quick", second/100)
	}
	r.send("slow", 1)
	r.run("slow", 10*second)
	r.send("slow", 1)
	for i := range 40 { // so that the share of each of these is small
		r.send(fmt.Sprint("other", i), 1)
	}
	if groups, _ := r.receive(41); groups[40] != "slow" {
		t.Errorf("the slow group came at place %d, want the last", slices.Index(groups, "slow")+1)
	}
	r.pass(20 * recentHalf) // that is not recent any more
	r.send("slow", 1)
	for i := range 100 {
		r.send(fmt.Sprint("late", i), 1)
	}
	if groups, _ := r.receive(101); slices.Index(groups, "slow") > disorder {
		t.Errorf("the slow group came at place %d, with a share of long ago", slices.Index(groups, "slow")+1)
	}
}

func TestAsAWSOfTheNoisyTheOneWithLeastInFlightIsNext(t *testing.T) {
	r := newFairRig(t, Config{Seed: 4}, "q")
	r.send("a", 100)
	r.receive(60)
	r.send("b", 100)
	r.receive(30)
	before := map[string]int{"a": r.q.fair.tenants["a"].inFlight, "b": r.q.fair.tenants["b"].inFlight}
	if before["a"] < 30 || before["b"] < 30 || before["a"] <= before["b"] {
		t.Fatalf("in flight are %v", before)
	}
	next, _ := r.receive(before["a"] - before["b"])
	if count(next, "b") != len(next) {
		t.Errorf("%q came, want b alone until it has as many in flight as a", next)
	}
	if even, _ := r.receive(10); count(even, "a") != 5 {
		t.Errorf("%q came, want both by turns", even)
	}
}

func TestAsAWSANoisyGroupGetsQuiet(t *testing.T) {
	for name, calm := range map[string]func(r *fairRig){
		"its backlog is gone":        func(r *fairRig) { r.receive(60) },
		"five minutes without sends": func(r *fairRig) { r.pass(quietAfter) },
	} {
		r := newFairRig(t, Config{Seed: 5}, "q")
		r.send("a", 100)
		_, messages := r.receive(40)
		r.send("b", 1)
		if groups, _ := r.receive(1); groups[0] != "b" || !slices.Equal(r.noisy(), []string{"a"}) {
			t.Fatalf("%s: %q came and noisy are %q", name, groups, r.noisy())
		}
		for _, m := range messages { // else it would be noisy again at once
			r.delete(m)
		}
		r.pass(second)
		r.send("b", 1)
		if groups, _ := r.receive(1); groups[0] != "b" || !slices.Equal(r.noisy(), []string{"a"}) {
			t.Errorf("%s: it was quiet before that: %q came", name, groups)
		}
		calm(r)
		r.e.Advance(r.now)
		r.receive(1)
		if noisy := r.noisy(); len(noisy) > 0 {
			t.Errorf("%s: noisy are %q", name, noisy)
		}
	}
}

// Each message without a group is a tenant of its own.
func TestAsAWSMessagesWithoutAGroupAreQuiet(t *testing.T) {
	r := newFairRig(t, Config{Seed: 6}, "q")
	r.send("", 200)
	r.receive(100)
	r.send("a", 1)
	groups, _ := r.receive(101)
	if noisy := r.noisy(); len(noisy) > 0 || groups[100] == "" && slices.Index(groups, "a") < 60 {
		t.Errorf("noisy are %q, and a came at place %d of 101", noisy, slices.Index(groups, "a")+1)
	}
}

// What is known of groups does not grow for ever, and a purge forgets it.
func TestAsAWSGroupsAreForgotten(t *testing.T) {
	r := newFairRig(t, Config{Seed: 7}, "q")
	for i := range 1000 {
		r.send(fmt.Sprint(i), 1)
		r.run(fmt.Sprint(i), second/1000)
	}
	r.pass(64 * recentHalf)
	r.send("last", 1)
	r.receive(1)
	if n := len(r.q.fair.tenants); n > 2 {
		t.Errorf("%d groups are known", n)
	}
	r.send("a", 100)
	r.receive(50)
	if err := r.e.Purge(r.now, r.q); err != nil {
		t.Fatal(err)
	}
	r.send("b", 1)
	if groups, _ := r.receive(2); groups[0] != "b" || groups[1] != "-" {
		t.Errorf("after a purge %q came", groups)
	}
}

// A restart keeps what is in flight, of each group.
func TestAsAWSARestartCountsWhatIsInFlight(t *testing.T) {
	r := newFairRig(t, Config{Seed: 8, Durable: true}, "q")
	for seq := range uint64(50) {
		due := int64(0)
		if seq < 40 {
			due = start + 100*second
		}
		r.e.RestoreMessage(start, r.q, seq+1, &Meta{Sent: start, Received: start, Receives: 1, Due: due, Group: "a"})
	}
	r.send("b", 1)
	if groups, _ := r.receive(1); groups[0] != "b" {
		t.Errorf("%q came, though a has 40 messages in flight", groups)
	}
}

// A FIFO queue is looked through up to a limit: a backlog of one group hides others.
func TestAsAWSABacklogOfOneGroupHidesLaterOnes(t *testing.T) {
	r := newFairRig(t, Config{Seed: 9, Scan: 10}, "q.fifo")
	r.send("a", 12)
	r.send("b", 1)
	r.send("c", 1)
	groups, messages := r.receive(2)
	if !slices.Equal(groups, []string{"a", "-"}) {
		t.Fatalf("%q came, want a alone: b is not among the first 10", groups)
	}
	for i, want := range []string{"a", "a", "a"} {
		r.delete(messages[0])
		if groups, messages = r.receive(1); groups[0] != want {
			t.Fatalf("after %d deletes %q came, want %q", i+1, groups, want)
		}
	}
	if groups, _ = r.receive(2); !slices.Equal(groups, []string{"b", "-"}) {
		t.Errorf("%q came, want b, which is the tenth now, and not c", groups)
	}
	r.delete(messages[0])
	if groups, _ = r.receive(1); len(groups) != 1 || groups[0] != "a" && groups[0] != "c" {
		t.Errorf("%q came", groups)
	}
	if err := r.e.Purge(r.now, r.q); err != nil {
		t.Fatal(err)
	}
	r.send("d", 1)
	if groups, _ = r.receive(1); groups[0] != "d" {
		t.Errorf("after a purge %q came", groups)
	}
	r.send("e", 20) // d and the first 9 are looked through
	w := &Waiter{Queue: r.q, Max: 10, Visibility: 30, Wait: 20}
	if !r.e.Receive(r.now, w) || len(w.Messages) != 9 {
		t.Errorf("%d messages came in one receive, want 9", len(w.Messages))
	}
}

// The limits of what is in flight: a short poll of a standard queue is refused, a long
// one waits, and a FIFO queue gives nothing.
func TestAsAWSInFlightLimits(t *testing.T) {
	r := newFairRig(t, Config{Seed: 10, InFlight: 5}, "q")
	r.send("a", 10)
	_, messages := r.receive(5)
	if len(messages) != 5 {
		t.Fatalf("%d messages came", len(messages))
	}
	short := &Waiter{Queue: r.q, Max: 1, Visibility: 30}
	if !r.e.Receive(r.now, short) || short.Err == nil || short.Err.Code != "OverLimit" {
		t.Errorf("a short poll gets %v", short.Err)
	}
	long := &Waiter{Queue: r.q, Max: 1, Visibility: 30, Wait: 20}
	if r.e.Receive(r.now, long) {
		t.Errorf("a long poll gets %v and %v", long.Messages, long.Err)
	}
	r.delete(messages[0])
	r.e.Advance(r.now)
	if len(long.Messages) != 1 {
		t.Error("the long poll did not get the message for which there is room again")
	}

	f := newFairRig(t, Config{Seed: 10, InFlight: 5}, "q.fifo")
	for i := range 10 {
		f.send(fmt.Sprint(i), 1)
	}
	f.receive(5)
	short = &Waiter{Queue: f.q, Max: 1, Visibility: 30}
	if !f.e.Receive(f.now, short) || short.Err != nil || len(short.Messages) > 0 {
		t.Errorf("a short poll of a FIFO queue gets %v and %v, want nothing", short.Messages, short.Err)
	}
}

// One seed gives one history, over all that is drawn.
func TestAsAWSASeedRepeatsItself(t *testing.T) {
	history := func(seed uint64) (list []string) {
		r := newFairRig(t, Config{Seed: seed}, "q")
		for i := range 400 {
			r.send(fmt.Sprint("g", i%7*(i%3)), 1+i%5)
			w := &Waiter{Queue: r.q, Max: 10, Visibility: 5, Wait: int64(i % 2)}
			if !r.e.Receive(r.now, w) {
				r.e.Cancel(w)
			}
			for k, m := range w.Messages {
				list = append(list, fmt.Sprint(m.Seq, m.Receives))
				if k%3 != 0 {
					r.delete(m)
				}
			}
			r.pass(int64(i%4) * second / 2)
		}
		return list
	}
	if a, b, c := history(1), history(1), history(2); !slices.Equal(a, b) || slices.Equal(a, c) {
		t.Errorf("the same seed gives the same: %v; another: %v", slices.Equal(a, b), slices.Equal(a, c))
	}
}
