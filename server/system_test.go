package server_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/chassistest"
	"github.com/sambatech/chassis/server"
	"github.com/sambatech/chassis/task"
)

type invoiceArgs struct{ Order string }

// In a whole system: one id finds the request, its records, the task that it sent, and
// the records of the task, also after a failure of the task.
func TestOneIDForARequestAndItsTasks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		invoice := task.Define[invoiceArgs]("invoice", task.Wait(time.Minute, task.None))
		sys := chassistest.New(t)
		attempts := 0
		chassis.Handle(sys.System, invoice, func(ctx context.Context, job task.Job[invoiceArgs]) error {
			if attempts++; attempts == 1 {
				return context.DeadlineExceeded
			}
			slog.New(sys.Log().Handler()).InfoContext(ctx, "written", "order", job.Args.Order)
			return nil
		})
		mux := http.NewServeMux()
		var id string
		mux.HandleFunc("POST /orders/{id}", func(w http.ResponseWriter, r *http.Request) {
			var err error
			if id, err = chassis.Send(r.Context(), sys.System, invoice, invoiceArgs{r.PathValue("id")}); err != nil {
				t.Error(err)
			}
		})
		h := server.Middleware(sys, server.WithRegisterer(prometheus.NewRegistry()))(mux)
		r := httptest.NewRequest("POST", "/orders/17", nil)
		r.Header.Set("X-Request-Id", "r-17")
		h.ServeHTTP(httptest.NewRecorder(), r)
		sys.RunUntilIdle()
		sys.AssertSucceeded(id)
		seen := map[string]bool{}
		for _, record := range sys.Logs() {
			if record.Fields["job_id"] == "r-17" && record.Fields["job_name"] == "POST /orders/{id}" {
				seen[record.Message] = true
			}
		}
		for _, want := range []string{"request", "written", "task attempt ended with an error"} {
			if !seen[want] {
				t.Errorf("the record %q does not have the request's job: %v", want, seen)
			}
		}
	})
}
