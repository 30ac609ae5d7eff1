// Package kit is what the tests of the whole share: services on an embedded queue, a
// tap on the requests to it, actors that do nothing or fail, and simulated time.
package kit

import (
	"bytes"
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/actors/dispatcher"
)

// ForTests lets an actor system end at once in simulated time.
var ForTests = chassis.WithActorConfig(actor.WithDeadLetterThrottleInterval(time.Millisecond))

// Greeting is what the tasks of a mailer carry.
type Greeting struct {
	To string `json:"to"`
}

// NewSystem makes a system on an embedded queue in memory, with its log in a
// buffer, that is stopped at the end of the test.
func NewSystem(t *testing.T, change func(*chassis.Settings)) (*chassis.System, *bytes.Buffer) {
	t.Helper()
	s := chassis.DefaultSettings()
	if change != nil {
		change(&s)
	}
	log := &bytes.Buffer{}
	sys, err := chassis.New("mailer", chassis.WithSettings(s), chassis.WithLogOutput(log), chassis.WithoutDefaultLogger(),
		ForTests)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := sys.Stop(context.Background()); err != nil {
			t.Errorf("stop: %v", err)
		}
		if t.Failed() || testing.Verbose() {
			t.Logf("the log:\n%s", log)
		}
	})
	return sys, log
}

// Bubble runs f in simulated time. Every goroutine must have ended ten
// minutes after it.
func Bubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		t.Cleanup(func() { time.Sleep(10 * time.Minute) })
		f(t)
	})
}

// Pass lets simulated time pass; what actors have written can be read after it.
func Pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// Idle is an actor that does nothing.
func Idle() *actor.Props { return actor.PropsFromFunc(func(actor.Context) {}) }

// Done is a task actor that is done at once.
func Done() *actor.Props {
	return actor.PropsFromFunc(func(c actor.Context) {
		if _, ok := c.Message().(*dispatcher.Execute); ok {
			c.Respond(dispatcher.Done{})
		}
	})
}

// Failing counts its instances in starts, which panic when it starts, or
// at each message.
func Failing(starts *atomic.Int64, atOnce bool) *actor.Props {
	return actor.PropsFromFunc(func(c actor.Context) {
		switch c.Message().(type) {
		case *actor.Started:
			starts.Add(1)
			if atOnce {
				panic("no connection to the stock")
			}
		case string:
			panic("no connection to the stock")
		}
	})
}
