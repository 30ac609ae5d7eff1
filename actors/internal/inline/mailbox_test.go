package inline

import (
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/asynkron/protoactor-go/actor"
)

// invoker stands for an actor: it writes down what it gets.
type invoker struct {
	log    []string
	inside atomic.Int32
	do     func(message any)
}

func (i *invoker) take(kind string, message any) {
	if i.inside.Add(1) != 1 {
		panic("two messages at once")
	}
	defer i.inside.Add(-1)
	i.log = append(i.log, fmt.Sprintf("%s %v", kind, message))
	if i.do != nil {
		i.do(message)
	}
}

func (i *invoker) InvokeUserMessage(message any) { i.take("user", message) }

func (i *invoker) InvokeSystemMessage(message any) { i.take("system", fmt.Sprintf("%T", message)) }

func (i *invoker) EscalateFailure(reason, message any) {
	i.log = append(i.log, fmt.Sprintf("failure %v of %v", reason, message))
}

// started returns a mailbox after its actor has begun.
func started(t *testing.T) (*Mailbox, *invoker) {
	t.Helper()
	i := &invoker{}
	m := New().(*Mailbox)
	m.RegisterHandlers(i, nil)
	m.PostSystemMessage(&actor.Started{})
	m.Start()
	i.log = nil
	return m, i
}

func (i *invoker) want(t *testing.T, log ...string) {
	t.Helper()
	if !slices.Equal(i.log, log) {
		t.Errorf("the actor got\n%q, not\n%q", i.log, log)
	}
	i.log = nil
}

// TestMessagesBeforeTheActorIsReady: a name that is spawned again is known to
// others before its actor has begun.
func TestMessagesBeforeTheActorIsReady(t *testing.T) {
	i := &invoker{}
	m := New().(*Mailbox)
	m.PostUserMessage("early")
	m.PostSystemMessage(&actor.Watch{})
	if m.RegisterHandlers(i, nil); len(i.log) != 0 || m.UserMessageCount() != 1 {
		t.Fatalf("%v, %d wait", i.log, m.UserMessageCount())
	}
	m.PostUserMessage("second")
	m.PostSystemMessage(&actor.Started{})
	m.Start()
	i.want(t, "system *actor.Started", "system *actor.Watch", "user early", "user second")
}

// TestAMessageThatTheActorPostsToItself runs after the one in hand.
func TestAMessageThatTheActorPostsToItself(t *testing.T) {
	m, i := started(t)
	i.do = func(message any) {
		if message == "a" {
			m.PostUserMessage("b")
			m.PostSystemMessage(&actor.Watch{})
		}
	}
	m.PostUserMessage("a")
	i.want(t, "user a", "system *actor.Watch", "user b")
}

// TestManyPosters: no message is lost, and each poster's keep their order.
func TestManyPosters(t *testing.T) {
	const posters, each = 8, 2000
	m, i := started(t)
	next, last := [posters]int{}, make(chan struct{})
	total := 0
	i.do = func(message any) {
		if at := message.([2]int); at[1] != next[at[0]] {
			t.Errorf("poster %d: message %d came in place of %d", at[0], at[1], next[at[0]])
		}
		next[message.([2]int)[0]]++
		if total++; total == posters*each {
			close(last)
		}
	}
	var wg sync.WaitGroup
	for p := range posters {
		wg.Go(func() {
			for n := range each {
				m.PostUserMessage([2]int{p, n})
			}
		})
	}
	wg.Wait()
	<-last
}

// TestAPosterServesOthersForABoundedNumberOfMessages.
func TestAPosterServesOthersForABoundedNumberOfMessages(t *testing.T) {
	m, i := started(t)
	block, done := make(chan struct{}), make(chan struct{})
	i.do = func(message any) {
		switch n := message.(int); {
		case n == 0:
			for k := 1; k <= 10*runLimit; k++ {
				m.PostUserMessage(k)
			}
		case n == runLimit+1: // on a goroutine of its own
			<-block
		case n == 10*runLimit:
			close(done)
		}
	}
	m.PostUserMessage(0) // returns, or the test hangs
	close(block)
	<-done
}

// TestAPanicSuspendsUntilTheRestart: nothing runs between.
func TestAPanicSuspendsUntilTheRestart(t *testing.T) {
	m, i := started(t)
	i.do = func(message any) {
		if message == "bad" {
			m.PostUserMessage("next")
			panic("boom")
		}
	}
	m.PostUserMessage("bad")
	m.PostUserMessage("later")
	i.inside.Store(0)
	i.want(t, "user bad", "failure boom of bad")
	m.PostSystemMessage(&actor.Restart{})
	i.want(t, "system *actor.Restart")
	m.PostSystemMessage(&actor.ResumeMailbox{})
	i.want(t, "user next", "user later")
}

// TestASuspendFromOutsideHasNoEffect.
func TestASuspendFromOutsideHasNoEffect(t *testing.T) {
	m, i := started(t)
	m.PostSystemMessage(&actor.SuspendMailbox{})
	m.PostUserMessage("a")
	i.want(t, "user a")
}

// TestHooks: each user message passes Before and After, also one that panics and
// one to an actor that has ended.
func TestHooks(t *testing.T) {
	m, i := started(t)
	m.Before = func(message any) { i.log = append(i.log, fmt.Sprint("before ", message)) }
	m.After = func(panicked bool) { i.log = append(i.log, fmt.Sprint("after ", panicked)) }
	i.do = func(message any) {
		if message == "bad" {
			panic("boom")
		}
	}
	m.PostUserMessage("good")
	i.want(t, "before good", "user good", "after false")
	m.PostUserMessage("bad")
	i.want(t, "before bad", "user bad", "after true", "failure boom of bad")
	m.PostUserMessage("suspended")
	i.want(t)
	m.Close()
	m.PostUserMessage("late")
	i.want(t, "before suspended", "after false", "before late", "after false")
}

// TestAClosedMailbox answers watchers, and begins the actor no more.
func TestAClosedMailbox(t *testing.T) {
	m, i := started(t)
	m.Close()
	m.PostSystemMessage(&actor.Restart{})
	m.PostSystemMessage(&actor.Watch{})
	i.want(t, "system *actor.Watch")
}

// TestAStopThatIsARestart keeps what waits until the actor has begun again.
func TestAStopThatIsARestart(t *testing.T) {
	m, i := started(t)
	stays := true
	m.Stays = func() bool { return stays }
	m.PostSystemMessage(&actor.Stop{})
	m.PostUserMessage("kept")
	i.want(t, "system *actor.Restart")
	m.PostSystemMessage(&actor.ResumeMailbox{})
	i.want(t, "user kept")
	stays = false
	m.PostSystemMessage(&actor.Stop{})
	i.want(t, "system *actor.Stop")
}

func BenchmarkPost(b *testing.B) {
	m := New().(*Mailbox)
	m.RegisterHandlers(nothing{}, nil)
	m.PostSystemMessage(&actor.Started{})
	b.Run("one", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			m.PostUserMessage(b)
		}
	})
	b.Run("many", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				m.PostUserMessage(b)
			}
		})
	})
}

type nothing struct{}

func (nothing) InvokeUserMessage(any)    {}
func (nothing) InvokeSystemMessage(any)  {}
func (nothing) EscalateFailure(_, _ any) {}

// TestATurn runs a function as the actor would run: alone, before what comes
// meanwhile, and never where a message would have to wait.
func TestATurn(t *testing.T) {
	turn := func(m *Mailbox, i *invoker) bool {
		return m.Turn(func() {
			i.take("turn", "")
			if m.Turn(func() { t.Error("a turn within a turn") }) {
				t.Error("a turn within a turn is said to have run")
			}
			m.PostUserMessage("meanwhile")
		})
	}
	m, i := started(t)
	if !turn(m, i) {
		t.Error("no turn of an idle actor")
	}
	i.want(t, "turn ", "user meanwhile")

	if m.Turn(func() { panic("boom") }); m.Turn(func() {}) {
		t.Error("a turn while the actor is suspended")
	}
	i.want(t, "failure boom of <nil>")
	m.PostUserMessage("later")
	m.PostSystemMessage(&actor.ResumeMailbox{})
	i.want(t, "user later")

	m.Close()
	if turn(m, i) {
		t.Error("a turn of an actor that has ended")
	}
	if early := New().(*Mailbox); early.Turn(func() {}) {
		t.Error("a turn before the actor has begun")
	}
}

// TestTurnsAmongPosters: turns and messages never run at a time, and none is lost.
func TestTurnsAmongPosters(t *testing.T) {
	m, i := started(t)
	var turns, refused atomic.Int64
	var group sync.WaitGroup
	const posters, each = 4, 1_000
	for range posters {
		group.Go(func() {
			for range each {
				if m.Turn(func() { i.take("turn", "") }) {
					turns.Add(1)
				} else {
					refused.Add(1)
					m.PostUserMessage("instead")
				}
			}
		})
	}
	group.Wait()
	for !m.user.empty() || m.status.Load() != idle {
		runtime.Gosched()
	}
	if turns.Load()+refused.Load() != posters*each || len(i.log) != posters*each {
		t.Errorf("%d turns, %d messages instead: the actor has seen %d of %d", turns.Load(), refused.Load(), len(i.log), posters*each)
	}
}
