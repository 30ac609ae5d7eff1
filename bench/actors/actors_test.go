// Package actors measures what an actor costs next to a goroutine and a
// channel. It answers the question why there are actors on a path.
package actors

import (
	"sync"
	"testing"

	"github.com/asynkron/protoactor-go/actor"
)

type (
	last  struct{ done chan struct{} }
	plain struct{}
	ask   struct{ reply chan struct{} }
)

func system(b *testing.B) *actor.ActorSystem {
	s := actor.NewActorSystem()
	b.Cleanup(s.Shutdown)
	return s
}

func receiver(c actor.Context) {
	switch m := c.Message().(type) {
	case *last:
		close(m.done)
	case *ask:
		m.reply <- struct{}{}
	}
}

// BenchmarkTell is one message one way.
func BenchmarkTell(b *testing.B) {
	b.Run("ours", func(b *testing.B) { // Proto.Actor, as the chassis sends to its own actors
		s := system(b)
		pid := s.Root.Spawn(actor.PropsFromFunc(receiver))
		m, done := &plain{}, make(chan struct{})
		b.ReportAllocs()
		for b.Loop() {
			s.Root.Send(pid, m)
		}
		s.Root.Send(pid, &last{done})
		<-done
	})
	b.Run("channel", func(b *testing.B) {
		c, done := make(chan *plain, 1024), make(chan struct{})
		go func() {
			for range c {
			}
			close(done)
		}()
		m := &plain{}
		b.ReportAllocs()
		for b.Loop() {
			c <- m
		}
		close(c)
		<-done
	})
}

// BenchmarkAsk is a message and its answer.
func BenchmarkAsk(b *testing.B) {
	b.Run("ours", func(b *testing.B) { // a reply channel in the message
		s := system(b)
		pid := s.Root.Spawn(actor.PropsFromFunc(receiver))
		b.ReportAllocs()
		for b.Loop() {
			m := &ask{reply: make(chan struct{}, 1)}
			s.Root.Send(pid, m)
			<-m.reply
		}
	})
	b.Run("channel", func(b *testing.B) {
		c := make(chan *ask)
		go func() {
			for m := range c {
				m.reply <- struct{}{}
			}
		}()
		b.ReportAllocs()
		for b.Loop() {
			m := &ask{reply: make(chan struct{}, 1)}
			c <- m
			<-m.reply
		}
		close(c)
	})
}

// BenchmarkSpawn is a child and its end, a hundred at a time.
func BenchmarkSpawn(b *testing.B) {
	b.Run("ours", func(b *testing.B) {
		s := system(b)
		var wg sync.WaitGroup
		slots := make(chan struct{}, 100)
		props := actor.PropsFromFunc(func(c actor.Context) {
			switch c.Message().(type) {
			case *actor.Started:
				c.Stop(c.Self())
			case *actor.Stopped:
				<-slots
				wg.Done()
			}
		}, actor.WithMailbox(actor.UnboundedLockfree()))
		b.ReportAllocs()
		for b.Loop() {
			slots <- struct{}{}
			wg.Add(1)
			s.Root.Spawn(props)
		}
		wg.Wait()
	})
	b.Run("goroutine", func(b *testing.B) {
		var wg sync.WaitGroup
		slots := make(chan struct{}, 100)
		b.ReportAllocs()
		for b.Loop() {
			slots <- struct{}{}
			wg.Go(func() { <-slots })
		}
		wg.Wait()
	})
}
