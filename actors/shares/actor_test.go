package shares_test

import (
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/sambatech/chassis/actors"
	"github.com/sambatech/chassis/actors/shares"
)

func TestMessagesAreTakenAsValuesAndOthersAreAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		system := actor.NewActorSystem(actor.WithDeadLetterThrottleInterval(time.Millisecond),
			actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return slog.New(slog.DiscardHandler) }))
		mon := &shares.Monitor{}
		props, err := shares.New(shares.Config{Limit: 2, Monitor: mon})
		if err != nil {
			t.Fatal(err)
		}
		keeper := system.Root.Spawn(props)
		granted := make(chan *shares.Granted, 10)
		pool := system.Root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
			if m, ok := c.Message().(*shares.Granted); ok {
				granted <- m
			}
		}))
		system.Root.Send(keeper, shares.Join{Pool: "a", Epoch: 1, To: pool})
		system.Root.Send(keeper, shares.Ask{Pool: "a", Epoch: 1, More: 2})
		synctest.Wait()
		stats := mon.Stats()
		if len(stats.Pools) != 1 || stats.Pools[0].Held != 2 {
			t.Fatalf("%+v", stats)
		}
		stats.Pools[0].Held = 99
		if mon.Stats().Pools[0].Held != 2 {
			t.Error("what was handed out changes what others see")
		}
		_, err = actors.Ask[any](t.Context(), system, keeper, "how are you?")
		if _, ok := errors.AsType[*actors.Unhandled](err); !ok {
			t.Error(err)
		}
		system.Root.Stop(pool)
		system.Root.Stop(keeper)
		synctest.Wait()
		system.Shutdown()
		time.Sleep(time.Hour)
	})
}
