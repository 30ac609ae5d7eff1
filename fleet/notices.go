package fleet

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"

	"github.com/sambatech/chassis/actors/addresses"
	"github.com/sambatech/chassis/actors/pools"
	"github.com/sambatech/chassis/fleet/internal/carry"
	"github.com/sambatech/chassis/internal/clip"
	"github.com/sambatech/chassis/task"
)

// Bounds of notices.
const (
	// patience is how long the sender of a notice waits for members that have not
	// answered, if no other has the execution. It is sent to them for carry.KeepFor.
	patience = 250 * time.Millisecond

	mostBatches = 256 // packets of other members that wait
	mostTakers  = 4   // that are taken at once
)

var errBusy = fmt.Errorf("%d notices are on their way to each member of the fleet already, the most there may be: "+
	"cancel fewer at once, or try again", carry.MostWaiting)

var errLeft = errors.New("this process has left the fleet")

// notices brings notices about executions to the other members, and gives those that come
// to the executions here. Each goes straight to each member, again and again until that
// has answered. Nothing here waits under mu.
type notices struct {
	f    *Fleet
	take func(context.Context, task.Notice) (int, error)
	wake chan struct{} // has room for one
	ctx  context.Context
	end  context.CancelFunc
	work sync.WaitGroup

	mu     sync.Mutex // guards all below
	ended  bool
	carry  carry.Carry
	peers  map[string]*memberlist.Node
	asking map[*carry.Order]chan struct{} // has room for one
	come   []batch
	takers int
}

// batch is what one packet of another member brought.
type batch struct {
	from *memberlist.Node
	list []order
}

func newNotices(f *Fleet, take func(context.Context, task.Notice) (int, error)) *notices {
	s := &notices{f: f, take: take, wake: make(chan struct{}, 1), asking: map[*carry.Order]chan struct{}{},
		ended: true}
	s.ctx, s.end = context.WithCancel(context.Background())
	return s
}

// begin lets notices be sent.
func (s *notices) begin() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = false
	s.work.Add(1)
	go s.run()
}

// stop ends what is under way, and waits for it.
func (s *notices) stop() {
	s.mu.Lock()
	s.ended = true
	s.come = nil
	s.mu.Unlock()
	s.end()
	s.work.Wait()
}

// bring implements pools.Carrier. It returns as soon as a member has the execution, or all
// have answered, and after patience at the latest.
func (s *notices) bring(ctx context.Context, n task.Notice) (pools.Carried, error) {
	n, err := addresses.Prepared(n)
	if err != nil {
		return pools.Carried{}, err
	}
	text, err := encodeNotice(n)
	if err != nil {
		return pools.Carried{}, err
	}
	done := make(chan struct{}, 1)
	s.mu.Lock()
	if s.ended {
		s.mu.Unlock()
		return pools.Carried{}, nil
	}
	body := fmt.Appendf(nil, `{"n":%d,"x":%s}`, s.carry.Next(), text)
	o := s.carry.Add(body, s.f.now())
	full := o.Asked > 0 && o.Missing == o.Asked
	settled := o.Settled()
	if !settled {
		s.asking[o] = done
	}
	s.mu.Unlock()
	if !settled {
		s.poke()
		err = s.await(ctx, done)
	}
	s.mu.Lock()
	delete(s.asking, o)
	known := pools.Carried{Found: o.Found, Members: o.Answered, Missing: o.Asked - o.Answered}
	s.mu.Unlock()
	switch {
	case known.Found > 0:
		return known, nil
	case full:
		return known, errBusy
	}
	return known, err
}

// await waits for what is known of an order.
func (s *notices) await(ctx context.Context, done <-chan struct{}) error {
	enough := time.NewTimer(patience)
	defer enough.Stop()
	select {
	case <-done:
	case <-enough.C:
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-s.ctx.Done():
		return errLeft
	}
	return nil
}

// encodeNotice returns a notice as it stands in a packet.
func encodeNotice(n task.Notice) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(n); err != nil {
		return nil, err
	}
	if most := carry.MaxBodies - len(`{"n":,"x":}`) - 20; b.Len() > most {
		return nil, fmt.Errorf("the notice about execution %s has %d bytes, and fits into no packet of the fleet: at "+
			"most %d", clip.ID(n.ExecID), b.Len(), most)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// living takes note of who the others are.
func (s *notices) living(peers map[string]*memberlist.Node) {
	names := make(map[string]bool, len(peers))
	for name := range peers {
		names[name] = true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.peers = maps.Clone(peers)
	s.settle(s.carry.Members(names)...)
}

// settle wakes those that wait for these orders, if enough is known. It is called under mu.
func (s *notices) settle(orders ...*carry.Order) {
	for _, o := range orders {
		if done := s.asking[o]; done != nil && (o.Found > 0 || o.Settled()) {
			delete(s.asking, o)
			done <- struct{}{}
		}
	}
}

// poke has run look again.
func (s *notices) poke() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// run sends what is due. What comes while it sends goes together.
func (s *notices) run() {
	defer s.work.Done()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		s.mu.Lock()
		now := s.f.now()
		packets, next, lapsed := s.carry.Due(now)
		s.settle(lapsed...)
		peers := s.peers
		s.mu.Unlock()
		for _, p := range packets {
			s.send(peers[p.Member], ordersOf(s.f.name, p.Bodies))
		}
		timer.Stop()
		if next > 0 {
			timer.Reset(max(time.Millisecond, next-s.f.now()))
		}
		select {
		case <-s.ctx.Done():
			return
		case <-s.wake:
		case <-timer.C:
		}
	}
}

// ordersOf returns a message of orders that are encoded already.
func ordersOf(member string, bodies []json.RawMessage) []byte {
	name, _ := json.Marshal(member) // a string always can be
	b := append([]byte(`{"o":{"m":`), name...)
	b = append(b, `,"l":[`...)
	for i, body := range bodies {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, body...)
	}
	return append(b, `]}}`...)
}

// send sends a packet to a member. It does not wait for the member.
func (s *notices) send(to *memberlist.Node, b []byte) {
	if to == nil || s.f.net.mute.Load() {
		return
	}
	if err := s.f.net.list.SendBestEffort(to, b); err != nil {
		s.f.log.Debug("a notice was not sent", "member", to.Name, "error", err)
	}
}

// hear takes in what has come from another member. It does not wait.
func (s *notices) hear(m *message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a := m.Taken; a != nil {
		for _, one := range a.List {
			if o := s.carry.Answered(a.Member, one.Number, one.Found, one.Failed); o != nil {
				s.settle(o)
			}
		}
		s.poke() // there may be more for that member
	}
	if m.Orders == nil || len(m.Orders.List) == 0 {
		return
	}
	from := s.peers[m.Orders.Member]
	if s.ended || from == nil || len(s.come) >= mostBatches { // it is sent again
		s.f.net.refused.Add(1)
		return
	}
	s.come = append(s.come, batch{from, slices.Clip(m.Orders.List)})
	if s.takers < mostTakers {
		s.takers++
		s.work.Add(1)
		go s.takeAll()
	}
}

// takeAll takes what has come until nothing is left, and answers.
func (s *notices) takeAll() {
	defer s.work.Done()
	for {
		s.mu.Lock()
		if len(s.come) == 0 {
			s.come, s.takers = nil, s.takers-1
			s.mu.Unlock()
			return
		}
		b := s.come[0]
		s.come = s.come[1:]
		s.mu.Unlock()
		a := &answers{Member: s.f.name}
		for _, o := range b.list {
			o.Notice.Reason = clip.Line(o.Notice.Reason, len(o.Notice.Reason))
			found, err := s.take(s.ctx, o.Notice)
			if err != nil && s.ctx.Err() == nil {
				s.f.log.Error("a notice of another member is not taken", "exec_id", clip.ID(o.Notice.ExecID), "member",
					b.from.Name, "error", err)
			}
			a.List = append(a.List, answer{o.Number, found, err != nil})
		}
		out, err := (&message{Taken: a}).encode()
		if err != nil {
			s.f.log.Error("an answer to another member is too long", "member", b.from.Name, "error", err)
			continue
		}
		s.send(b.from, out)
	}
}
