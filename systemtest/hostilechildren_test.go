package systemtest_test

import (
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/sambatech/chassis/actors/dispatcher"
	"github.com/sambatech/chassis/systemtest/internal/kit"
	"github.com/sambatech/chassis/task"
)

// TestTwentyOneHostileChildren has a task actor panic, block, and end its goroutine, in
// each message of its life: 21 of 21 leave the pool alive and the service ready.
func TestTwentyOneHostileChildren(t *testing.T) {
	ways := []struct {
		name string
		do   func(release chan struct{})
	}{
		{"panics", func(chan struct{}) { panic("hostile") }},
		{"blocks", func(release chan struct{}) { <-release }},
		{"ends its goroutine", func(chan struct{}) { runtime.Goexit() }},
	}
	done := func(c actor.Context) { c.Respond(dispatcher.Done{}) }
	messages := []struct {
		name string
		is   func(message any) bool
		on   func(c actor.Context) // what brings the message about, at the Execute
		dead bool                  // the attempt has no answer then
	}{
		{"Started", is[*actor.Started], done, true},
		{"Execute", is[*dispatcher.Execute], done, true},
		{"Restarting", is[*actor.Restarting], func(c actor.Context) { system(c, c.Self(), &actor.Restart{}) }, true},
		{"Terminated", is[*actor.Terminated], func(c actor.Context) { c.Stop(c.Spawn(kit.Idle())) }, true},
		{"ReceiveTimeout", is[*actor.ReceiveTimeout], func(c actor.Context) { c.SetReceiveTimeout(time.Second) }, true},
		{"Stopping", is[*actor.Stopping], done, false},
		{"Stopped", is[*actor.Stopped], done, false},
	}
	rows := 0
	for _, m := range messages {
		for _, way := range ways {
			rows++
			t.Run(way.name+" in "+m.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					policies := []task.Policy{task.Deadline(10 * time.Second)}
					leavesThePoolAlive(t, m.dead, policies, nil, func(release chan struct{}) actor.Actor {
						return actor.ReceiveFunc(func(c actor.Context) {
							if m.is(c.Message()) {
								way.do(release)
							}
							if execute(c) {
								m.on(c)
							}
						})
					})
				})
			})
		}
	}
	if rows != 21 {
		t.Errorf("%d rows", rows)
	}
}

// is reports whether a message is an M.
func is[M any](message any) bool { _, ok := message.(M); return ok }
