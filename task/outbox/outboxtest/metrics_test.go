//go:build unix

package outboxtest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/task"
	"github.com/sambatech/chassis/task/outbox"
)

// gauges are the values of a registry's metrics of the outbox.
func gauges(t *testing.T, reg prometheus.Gatherer) map[string]float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]float64{}
	for _, f := range families {
		m := f.GetMetric()[0]
		all[strings.TrimPrefix(f.GetName(), "chassis_outbox_")] = m.GetGauge().GetValue() + m.GetCounter().GetValue()
	}
	return all
}

// What waits is seen by the metrics, the check and the page; it is gone once a relay has
// sent it.
func TestWhatWaitsIsSeen(t *testing.T) {
	each(t, func(t *testing.T, db *database) {
		box := db.box(t)
		if err := box.Check(time.Nanosecond)(t.Context()); err != nil {
			t.Errorf("an empty outbox: %v", err)
		}
		ids := send(t, box, db.DB, []int{1, 2, 3}, task.Pool("nowhere"))
		time.Sleep(20 * time.Millisecond) // so that the rows have an age
		if err := box.Check(time.Hour)(t.Context()); err != nil {
			t.Errorf("rows that wait for a moment: %v", err)
		}
		if err := box.Check(time.Millisecond)(t.Context()); err == nil || !strings.Contains(err.Error(), "oldest of 3 rows") {
			t.Errorf("rows that wait for too long: %v", err)
		}
		reg := prometheus.NewRegistry()
		s := newService(t, queueServer(t), nil)
		s.handle()
		relay := box.Relay(s, outbox.Settings{Poll: 20 * time.Millisecond}, outbox.WithRegisterer(reg))
		s.Add("outbox", relay)
		s.start(t)
		within(t, 10*time.Second, "the pool is away", func() bool { return len(relay.Stats().Away) == 1 })
		within(t, 10*time.Second, "the rows are counted", func() bool { return gauges(t, reg)["rows"] == 3 })
		g := gauges(t, reg)
		if g["oldest_row_age_seconds"] < 0.02 || g["oldest_row_age_seconds"] > 60 || g["away_pools"] != 1 || g["up"] != 1 || g["sent_total"] != 0 {
			t.Errorf("the metrics are %v", g)
		}
		if text := relay.Detail(); !strings.Contains(text, "3 wait") {
			t.Errorf("the page has %q", text)
		}
		db.exec(t, "UPDATE chassis_outbox SET pool = 'jobs'")
		within(t, 20*time.Second, "all are sent", func() bool { return relay.Stats().Sent == 3 && len(s.ran()) == 3 })
		within(t, 10*time.Second, "no row is counted", func() bool { g := gauges(t, reg); return g["rows"] == 0 && g["sent_total"] == 3 })
		if len(ids) != 3 {
			t.Error(ids)
		}
		if err := s.Stop(context.Background()); err != nil {
			t.Error(err)
		}
		if g := gauges(t, reg); len(g) != 0 {
			t.Errorf("after the stop there are %v", g)
		}
	})
}

// SendMany writes all rows or none, in the order of its arguments, and more than one
// statement has room for.
func TestManyAreSentInOneTransaction(t *testing.T) {
	each(t, func(t *testing.T, db *database) {
		box := db.box(t)
		args := make([]int, 1234)
		for i := range args {
			args[i] = i
		}
		tx, err := db.Begin()
		if err != nil {
			t.Fatal(err)
		}
		ids, err := outbox.SendMany(t.Context(), box, tx, work, args)
		if err != nil || len(ids) != len(args) {
			t.Fatal(len(ids), err)
		}
		if _, err := outbox.SendMany(t.Context(), box, tx, work, args[:2], task.Pool("no queue!")); err == nil {
			t.Error("a pool that no queue can be was taken")
		}
		if n, err := outbox.SendMany(t.Context(), box, tx, work, nil); err != nil || len(n) != 0 {
			t.Error(n, err)
		}
		if err := tx.Commit(); err != nil {
			t.Fatal(err)
		}
		if n := db.count(t, "SELECT count(DISTINCT exec_id) FROM chassis_outbox"); n != len(args) {
			t.Fatalf("%d rows, want %d", n, len(args))
		}
		var first string
		if err := db.QueryRow("SELECT exec_id FROM chassis_outbox ORDER BY id LIMIT 1").Scan(&first); err != nil || first != ids[0] {
			t.Errorf("the first row is %s, want %s: %v", first, ids[0], err)
		}
		s := newService(t, queueServer(t), nil)
		s.handle()
		s.Add("outbox", box.Relay(s, outbox.Settings{Poll: 20 * time.Millisecond}))
		s.start(t)
		within(t, 60*time.Second, "all have run", func() bool { return len(s.ran()) == len(args) })
		got := s.ran()
		slices.Sort(got)
		if !slices.Equal(got, args) {
			t.Error("other arguments have run")
		}
	})
}

// The trace of the sender's ctx is kept in the row: the span of the relay's send is its
// child, and the handler's ctx belongs to it.
func TestTheTraceOfTheSenderIsKept(t *testing.T) {
	each(t, func(t *testing.T, db *database) {
		spans := tracetest.NewSpanRecorder()
		tp := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))
		box := db.box(t)
		ctx, request := tp.Tracer("test").Start(t.Context(), "POST /orders")
		tx, err := db.Begin()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := outbox.Send(ctx, box, tx, work, 1); err != nil {
			t.Fatal(err)
		}
		if err := tx.Commit(); err != nil {
			t.Fatal(err)
		}
		request.End()
		s := newService(t, queueServer(t), nil)
		seen := make(chan trace.TraceID, 1)
		chassis.Handle(s.System, work, func(ctx context.Context, _ task.Job[int]) error {
			seen <- trace.SpanContextFromContext(ctx).TraceID()
			return nil
		})
		s.Add("outbox", box.Relay(s, outbox.Settings{Poll: 20 * time.Millisecond}, outbox.WithTracing(tp)))
		s.start(t)
		select {
		case id := <-seen:
			if id != request.SpanContext().TraceID() {
				t.Errorf("the handler has the trace %v, want %v", id, request.SpanContext().TraceID())
			}
		case <-time.After(20 * time.Second):
			t.Fatal("the task has not run")
		}
		within(t, 20*time.Second, "the span of the send has ended", func() bool { return len(spans.Ended()) >= 2 })
		for _, span := range spans.Ended() {
			if span.Name() != "POST /orders" && span.Parent().SpanID() != request.SpanContext().SpanID() {
				t.Errorf("the span %s is the child of %v", fmt.Sprint(span.Name()), span.Parent())
			}
		}
	})
}
