package fleet

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/memberlist"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/fleet/internal/carry"
	"github.com/sambatech/chassis/fleet/internal/register"
	"github.com/sambatech/chassis/task"
)

// TestANoticeArrivesAsItWasSent: with the letters of its reason, and once.
func TestANoticeArrivesAsItWasSent(t *testing.T) {
	sysA, a := joinAndStart(t, loopback())
	_, b := joinAndStart(t, loopback(a.net.addr))
	eventually(t, "joined", 10*time.Second, func() bool { return sized(a, 2)() && sized(b, 2)() })
	var mu sync.Mutex
	var got []task.Notice // under mu
	inner := b.notices.take
	b.notices.mu.Lock()
	b.notices.take = func(ctx context.Context, n task.Notice) (int, error) {
		mu.Lock()
		got = append(got, n)
		mu.Unlock()
		return inner(ctx, n)
	}
	b.notices.mu.Unlock()
	const reason = "für Zoë, 取消 <&>"
	sent := task.Notice{ExecID: "élan/1", Reason: reason + "\x1b[31m\n", Keep: true, Left: 60}
	known, err := sysA.Pools()[0].Order(t.Context(), sent)
	if err != nil || known != (chassis.Cancelled{Members: 1}) {
		t.Errorf("%+v, %v", known, err)
	}
	mu.Lock()
	defer mu.Unlock()
	if len(got) == 0 || got[0].ExecID != sent.ExecID || !strings.HasPrefix(got[0].Reason, reason) || got[0].ID == "" ||
		strings.ContainsAny(got[0].Reason, "\x1b\n") || !got[0].Keep || got[0].Left != 60 {
		t.Errorf("%+v", got)
	}
	if _, err := sysA.Cancel(t.Context(), strings.Repeat("x", 300)); err == nil {
		t.Error("an exec_id that is too long")
	}
}

// among returns the notices of a member that sends into the void, among others that do not
// answer.
func among(take func(context.Context, task.Notice) (int, error), others ...string) *notices {
	f := &Fleet{name: "me", base: time.Now(), log: slog.New(slog.DiscardHandler), net: &network{}}
	f.net.mute.Store(true)
	s := newNotices(f, take)
	peers := map[string]*memberlist.Node{}
	for _, name := range others {
		peers[name] = &memberlist.Node{Name: name}
	}
	s.living(peers)
	return s
}

func none(context.Context, task.Notice) (int, error) { return 0, nil }

// TestAFloodOfNotices: with more than may wait the error says so at once, and none of them
// waits for longer than the patience.
func TestAFloodOfNotices(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := among(none, "hung")
		s.begin()
		defer s.stop()
		var busy, missing atomic.Int64
		var work sync.WaitGroup
		begun := time.Now()
		for i := range carry.MostWaiting + 500 {
			work.Go(func() {
				known, err := s.bring(t.Context(), task.Notice{ExecID: fmt.Sprint(i)})
				switch {
				case errors.Is(err, errBusy):
					busy.Add(1)
				case err == nil && known.Missing == 1:
					missing.Add(1)
				default:
					t.Errorf("%+v, %v", known, err)
				}
			})
		}
		work.Wait()
		if busy.Load() != 500 || missing.Load() != carry.MostWaiting || time.Since(begun) > patience {
			t.Errorf("%d busy, %d missing, after %v", busy.Load(), missing.Load(), time.Since(begun))
		}
		time.Sleep(2 * carry.KeepFor)
		if _, err := s.bring(t.Context(), task.Notice{ExecID: "later"}); err != nil {
			t.Errorf("after the flood: %v", err)
		}
		hurried, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if _, err := s.bring(hurried, task.Notice{ExecID: "hurried"}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a caller without time: %v", err)
		}
		go func() {
			time.Sleep(time.Millisecond)
			s.stop()
		}()
		if _, err := s.bring(t.Context(), task.Notice{ExecID: "stopped"}); !errors.Is(err, errLeft) {
			t.Errorf("at the stop: %v", err)
		}
		if known, err := s.bring(t.Context(), task.Notice{ExecID: "after"}); known.Members+known.Missing != 0 || err != nil {
			t.Errorf("after the stop: %+v, %v", known, err)
		}
	})
}

// TestNoticesOfOthersAreBounded: a member that floods, while the dispatchers here hang, gets
// neither goroutines nor memory without end.
func TestNoticesOfOthersAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var now, most atomic.Int64
		s := among(func(ctx context.Context, n task.Notice) (int, error) {
			most.Store(max(most.Load(), now.Add(1)))
			defer now.Add(-1)
			<-ctx.Done()
			return 0, ctx.Err()
		}, "loud")
		s.begin()
		defer s.stop()
		for i := range 10_000 {
			s.hear(&message{Orders: &orders{"loud", []order{{uint64(i), task.Notice{ExecID: "x"}}}}})
		}
		synctest.Wait()
		s.mu.Lock()
		defer s.mu.Unlock()
		if len(s.come) > mostBatches || most.Load() != mostTakers || s.f.net.refused.Load() < 9000 {
			t.Errorf("%d wait, %d at once, %d refused", len(s.come), most.Load(), s.f.net.refused.Load())
		}
	})
}

// TestHostileNotices: what a packet may hold is taken or refused, and harms nothing.
func TestHostileNotices(t *testing.T) {
	long := strings.Repeat("x", 257)
	many := make([]string, carry.MaxOrders+1)
	for i := range many {
		many[i] = `{"n":1,"x":{"exec_id":"e"}}`
	}
	for text, taken := range map[string]int64{
		`{"o":{"m":"peer","l":[{"n":1,"x":{"exec_id":"e"}}]}}`:                                         1,
		`{"o":{"m":"peer","l":[{"n":1,"x":{"exec_id":"e","reason":"\u001b[31m\u0000","snooze":-1}}]}}`: 1,
		`{"o":{"m":"stranger","l":[{"n":1,"x":{"exec_id":"e"}}]}}`:                                     0,
		`{"o":{"m":"me","l":[{"n":1,"x":{"exec_id":"e"}}]}}`:                                           0,
		`{"o":{"m":"","l":[{"n":1,"x":{"exec_id":"e"}}]}}`:                                             0,
		`{"o":{"m":"peer","l":[{"n":1,"x":{"exec_id":""}}]}}`:                                          0,
		`{"o":{"m":"peer","l":[{"n":-1,"x":{"exec_id":"e"}}]}}`:                                        0,
		`{"o":{"m":"peer","l":[{"n":1,"x":{"exec_id":"` + long + `"}}]}}`:                              0,
		`{"o":{"m":"peer","l":[{"n":1,"x":{"exec_id":"e","reason":"` + long + `"}}]}}`:                 0,
		`{"o":{"m":"peer","l":[{"n":1,"x":{"exec_id":"e","id":"` + long + `"}}]}}`:                     0,
		`{"o":{"m":"peer","l":[` + strings.Join(many, ",") + `]}}`:                                     0,
		`{"o":{"m":"peer","l":[{"n":1}]}}`:                                                             0,
		`{"o":{"m":"peer","l":null}}`:                                                                  0,
		`{"o":[]}`:                                                                                     0,
		`{"a":{"m":"peer","l":[{"n":1,"f":1},{"n":99,"f":-5},{"n":18446744073709551615}]}}`:            0,
		`{"a":{"m":"stranger","l":[{"n":1,"f":1}]},"o":null}`:                                          0,
		`{"a":{}}`: 0,
	} {
		synctest.Test(t, func(t *testing.T) {
			var calls atomic.Int64
			s := among(func(_ context.Context, n task.Notice) (int, error) {
				calls.Add(1)
				if strings.ContainsAny(n.Reason, "\x1b\x00") {
					t.Errorf("%q", n.Reason)
				}
				return 1, nil
			}, "peer")
			s.f.net.orders = s.hear
			s.f.net.post = func(any) {}
			s.begin()
			s.f.net.NotifyMsg([]byte(text))
			s.f.net.MergeRemoteState([]byte(text), false) // no state, ever
			synctest.Wait()
			s.stop()
			if calls.Load() != taken {
				t.Errorf("%s: %d are taken, want %d", text, calls.Load(), taken)
			}
		})
	}
}

// TestNoticesFitIntoPackets: the longest that there may be, and their answers.
func TestNoticesFitIntoPackets(t *testing.T) {
	n := task.Notice{ExecID: strings.Repeat("x", 256), Reason: strings.Repeat("r", 200), Keep: true, Left: 3599.999999, ID: strings.Repeat("0", 32)}
	text, err := encodeNotice(n)
	if err != nil {
		t.Fatal(err)
	}
	name := strings.Repeat("n", register.MaxName)
	var c carry.Carry
	c.Members(map[string]bool{"a": true})
	for range 100 {
		c.Add(fmt.Appendf(nil, `{"n":%d,"x":%s}`, uint64(1<<63), text), 0)
		c.Add(fmt.Appendf(nil, `{"n":%d,"x":{"exec_id":"e"}}`, 1), 0)
	}
	packets, _, _ := c.Due(0)
	for _, p := range packets {
		b := ordersOf(name, p.Bodies)
		if m, err := decode(b, maxPacket); err != nil || m.Orders == nil || len(m.Orders.List) != len(p.Bodies) {
			t.Errorf("%d bytes: %v", len(b), err)
		}
	}
	a := &answers{Member: name}
	for range carry.MaxOrders {
		a.List = append(a.List, answer{1 << 63, 1, true})
	}
	if _, err := (&message{Taken: a}).encode(); err != nil {
		t.Error(err)
	}
	if _, err := encodeNotice(task.Notice{ExecID: strings.Repeat("\x01", 256)}); err == nil {
		t.Error("one that does not fit into a packet")
	}
}

func FuzzNotices(f *testing.F) {
	f.Add([]byte(`{"o":{"m":"peer","l":[{"n":1,"x":{"exec_id":"e","reason":"é","keep":true,"snooze":1e300}}]}}`))
	f.Add([]byte(`{"a":{"m":"peer","l":[{"n":1,"f":1}]}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		s := among(none, "peer")
		s.f.net.orders = s.hear
		s.f.net.post = func(any) {}
		s.begin()
		defer s.stop()
		s.f.net.NotifyMsg(b)
		m, err := decode(b, maxPacket)
		if err != nil || m.Orders == nil {
			return
		}
		again, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		if back, err := decode(again, maxState); err != nil || back.Orders == nil && len(m.Orders.Member) > 0 && m.Orders.fit() {
			t.Errorf("%s: %v", again, err)
		}
	})
}
