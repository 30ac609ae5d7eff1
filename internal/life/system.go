package life

import (
	"log/slog"
	"reflect"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/eventstream"
	"github.com/asynkron/protoactor-go/extensions"
	"github.com/google/uuid"
	cmap "github.com/orcaman/concurrent-map"
)

// buckets is the number of concurrent maps in the registry of processes. Each has
// 32 shards with a lock of its own, so that 512 actors can be found at the same time.
const buckets = 16

// NewSystem is actor.NewActorSystemWithConfig with a registry of 16 concurrent maps
// instead of 1 024. The registry of Proto.Actor is made of 32 768 empty maps, which
// take 4 ms and 2.9 MB. Proto.Actor has no option for it, and the number of shards
// is a variable of a third library: who else in the program uses that library
// would be changed with it. So the system is put together here, as Proto.Actor does
// it, with the two fields that are not exported set by reflection. With a
// Proto.Actor of other fields NewSystem leaves all to Proto.Actor.
func NewSystem(config *actor.Config) *actor.ActorSystem {
	if !knownFields(reflect.TypeFor[actor.ActorSystem]()) {
		return actor.NewActorSystemWithConfig(config)
	}
	s := &actor.ActorSystem{ID: uuid.NewString(), Config: config}
	logger := config.LoggerFactory(s)
	set(s, "logger", logger)
	set(s, "stopper", make(chan struct{}))
	pids := &actor.SliceMap{}
	s.ProcessRegistry = &actor.ProcessRegistryValue{ActorSystem: s, Address: localAddress, LocalPIDs: pids}
	for range buckets {
		pids.LocalPIDs = append(pids.LocalPIDs, cmap.New())
	}
	s.Root = actor.NewRootContext(s, actor.EmptyMessageHeader)
	s.Guardians = actor.NewGuardians(s)
	s.EventStream = eventstream.NewEventStream()
	s.DeadLetter = actor.NewDeadLetter(s)
	s.Extensions = extensions.NewExtensions()
	actor.SubscribeSupervision(s)
	s.Extensions.Register(actor.NewMetrics(s, config.MetricsProvider))
	s.ProcessRegistry.Add(actor.NewEventStreamProcess(s), "eventstream")
	logger.Info("actor system started", slog.String("id", s.ID))
	return s
}

// localAddress is what Proto.Actor calls the address of a process without remote.
const localAddress = "nonhost"

// fields are those of the actor.ActorSystem that NewSystem knows, with their types.
var fields = []string{
	"ProcessRegistry *actor.ProcessRegistryValue", "Root *actor.RootContext", "EventStream *eventstream.EventStream",
	"Guardians *actor.guardiansValue", "DeadLetter *actor.deadLetterProcess", "Extensions *extensions.Extensions",
	"Config *actor.Config", "ID string", "stopper chan struct {}", "logger *slog.Logger",
}

// knownFields reports whether a struct has these fields and no other.
func knownFields(t reflect.Type) bool {
	if t.NumField() != len(fields) {
		return false
	}
	for i, want := range fields {
		if f := t.Field(i); f.Name+" "+f.Type.String() != want {
			return false
		}
	}
	return true
}

// set sets a field that is not exported. Its type is that of value: see knownFields.
func set[T any](system *actor.ActorSystem, field string, value T) {
	f := reflect.ValueOf(system).Elem().FieldByName(field)
	*(*T)(f.Addr().UnsafePointer()) = value
}
