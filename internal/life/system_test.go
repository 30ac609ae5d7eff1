package life

import (
	"fmt"
	"log/slog"
	"reflect"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

func quiet(factory func(*actor.ActorSystem)) *actor.Config {
	return actor.Configure(actor.WithDeadLetterThrottleInterval(time.Millisecond),
		actor.WithLoggerFactory(func(s *actor.ActorSystem) *slog.Logger {
			factory(s)
			return slog.New(slog.DiscardHandler)
		}))
}

// TestASystemIsAsProtoActorMakesIt compares each field with that of a system that
// Proto.Actor has made. It fails with a Proto.Actor that has other fields: NewSystem
// must learn them.
func TestASystemIsAsProtoActorMakesIt(t *testing.T) {
	if !knownFields(reflect.TypeFor[actor.ActorSystem]()) {
		t.Fatalf("an ActorSystem has other fields than %q", fields)
	}
	seen := map[*actor.ActorSystem]string{}
	config := quiet(func(s *actor.ActorSystem) { seen[s] = s.ID })
	ours, theirs := NewSystem(config), actor.NewActorSystemWithConfig(config)
	for i, name := range fields {
		a, b := reflect.ValueOf(ours).Elem().Field(i), reflect.ValueOf(theirs).Elem().Field(i)
		if a.IsZero() || b.IsZero() {
			t.Errorf("field %s is zero: %v with NewSystem, %v with Proto.Actor", name, a.IsZero(), b.IsZero())
		}
	}
	for _, s := range []*actor.ActorSystem{ours, theirs} {
		if id, asked := seen[s]; !asked || id == "" || id != s.ID {
			t.Errorf("the logger factory saw the id %q, want %q", id, s.ID)
		}
		if s.Config != config || s.Logger() == nil || s.Extensions.Get(actor.NewMetrics(s, nil).ExtensionID()) == nil {
			t.Error("the config, the logger or the metrics are not there")
		}
		if s.Address() != theirs.Address() || s.ProcessRegistry.ActorSystem != s {
			t.Errorf("the registry is that of address %q", s.Address())
		}
		for _, id := range []string{"eventstream", "deadletter"} {
			if _, ok := s.ProcessRegistry.GetLocal(id); !ok {
				t.Errorf("no process has the id %q", id)
			}
		}
		if s.IsStopped() {
			t.Error("it is stopped before Shutdown")
		}
		s.Shutdown()
		if !s.IsStopped() {
			t.Error("it is not stopped by Shutdown")
		}
	}
}

// TestASystemWorks asks ten thousand actors, restarts each by a panic, stops it, and sends
// a dead letter to it.
func TestASystemWorks(t *testing.T) {
	s := NewSystem(quiet(func(*actor.ActorSystem) {}))
	defer s.Shutdown()
	letters, failures := make(chan any, 100_000), make(chan any, 100_000)
	s.EventStream.Subscribe(func(m any) {
		switch m.(type) {
		case *actor.DeadLetterEvent:
			letters <- m
		case *actor.SupervisorEvent:
			failures <- m
		}
	})
	props := actor.PropsFromFunc(func(c actor.Context) {
		switch m := c.Message().(type) {
		case int:
			c.Respond(m + 1)
		case string:
			panic(m)
		}
	})
	const n = 10_000
	pids := make([]*actor.PID, n)
	for i := range pids {
		pid, err := s.Root.SpawnNamed(props, fmt.Sprint("actor", i))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Root.SpawnNamed(props, pid.Id); err == nil {
			t.Fatalf("%s is there twice", pid.Id)
		}
		pids[i] = pid
	}
	for i, pid := range pids {
		s.Root.Send(pid, "panic")
		answer, err := s.Root.RequestFuture(pid, i, time.Minute).Result()
		if err != nil || answer != i+1 {
			t.Fatal(answer, err)
		}
		if err := s.Root.StopFuture(pid).Wait(); err != nil {
			t.Fatal(err)
		}
		if _, ok := s.ProcessRegistry.GetLocal(pid.Id); ok {
			t.Fatalf("%s is there after its stop", pid.Id)
		}
		s.Root.Send(pid, "no actor is there")
	}
	if len(failures) != n || len(letters) != n {
		t.Errorf("%d failures and %d dead letters, want %d of each", len(failures), len(letters), n)
	}
}

// TestAnotherProtoActorIsLeftAlone: a field more, less or of another type is not known.
func TestAnotherProtoActorIsLeftAlone(t *testing.T) {
	type more struct {
		actor.ActorSystem
		More int
	}
	type as struct{ ID string }
	for _, other := range []reflect.Type{reflect.TypeFor[more](), reflect.TypeFor[as](), reflect.TypeFor[struct{}]()} {
		if knownFields(other) {
			t.Errorf("%v is taken for an actor system", other)
		}
	}
}
