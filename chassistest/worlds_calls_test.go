package chassistest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/actors/breaker"
	"github.com/sambatech/chassis/task"
)

// unread: a service that fails for a time, and callers that look at the status only.
var unread = playground{
	play: func(w *World) {
		const service = "https://carrier.internal"
		carrier := w.Upstream(service, nil)
		w.Service(func(p *Process) {
			client := &http.Client{Transport: p.Breaker(service).Transport(carrier)}
			chassis.Handle(p.System, post, func(ctx context.Context, _ task.Job[parcel]) error {
				r, err := http.NewRequestWithContext(ctx, http.MethodPost, service+"/parcels", nil)
				if err != nil {
					return err
				}
				res, err := client.Do(r)
				if err != nil {
					return err
				}
				_ = res.Body.Close() // unread
				if res.StatusCode != http.StatusOK {
					return errors.New(res.Status)
				}
				return nil
			})
		})
		for i := range 60 {
			SubmitAt(w, time.Duration(i)*5*time.Second, post, parcel{i})
		}
		w.Eventually("a service that works is called", func() error {
			for _, s := range w.seats {
				if state := s.p.Breaker(service).Snapshot().State; state != breaker.Closed {
					return fmt.Errorf("its breaker is %s", state)
				}
			}
			return nil
		})
	},
	opts: []StormOption{Fleet(1), Kinds(CallFails),
		Tune(func(s *chassis.Settings) { s.CircuitBreaker.ClosedFailLimit = 3 })},
}
