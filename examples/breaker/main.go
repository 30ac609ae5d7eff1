// Breaker uses a circuit breaker alone, without the rest of the chassis.
//
//	go run ./examples/breaker
//
// See a service fail three times, the breaker open and refuse without a
// request, become half-open by itself when its time is over, and close again.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/sambatech/chassis/actors/breaker"
)

func main() {
	if err := run(os.Stdout); err != nil {
		log.Fatal(err)
	}
}

func run(out io.Writer) (err error) {
	var healthy atomic.Bool
	var requests atomic.Int32
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		requests.Add(1)
		if !healthy.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	defer service.Close()

	quiet := actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger {
		return slog.New(slog.DiscardHandler) // Proto.Actor's own records
	})
	b, err := breaker.Spawn(actor.NewActorSystem(quiet), service.URL, breaker.Settings{
		ClosedFailLimit: 3, OpenTimeout: 300 * time.Millisecond, HalfSuccessLimit: 2,
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.Stop(context.Background())) }()
	halfOpen := make(chan struct{}, 1)
	stop, err := b.Listen(func(t breaker.Transition) {
		if t.To == breaker.HalfOpen && t.Entry == "" {
			halfOpen <- struct{}{}
		}
	})
	if err != nil {
		return err
	}
	defer stop()

	get := func() {
		req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, service.URL+"/v1/inbox", nil)
		if err != nil {
			fmt.Fprintln(out, err)
			return
		}
		res, err := b.Client().Do(req)
		switch {
		case errors.Is(err, breaker.ErrOpen):
			fmt.Fprintln(out, "refused")
		case err != nil:
			fmt.Fprintln(out, err)
		default:
			res.Body.Close()
			fmt.Fprintln(out, res.StatusCode)
		}
	}
	for range 5 {
		get() // three reach the service
	}
	fmt.Fprintln(out, b.State(), "after", requests.Load(), "requests")

	healthy.Store(true)
	<-halfOpen // by the breaker's timer, without any traffic
	fmt.Fprintln(out, b.State())
	get()
	get()
	fmt.Fprintln(out, b.State())
	return nil
}
