package grpcserver_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/parts"
)

// A call that does not end in the server's time sees its ctx end, and is named.
func TestAStuckCallIsNamed(t *testing.T) {
	cause, entered := make(chan error, 1), make(chan struct{})
	r := start(t, &api{place: func(ctx context.Context, _ string) (string, error) {
		close(entered)
		<-ctx.Done()
		cause <- context.Cause(ctx)
		return "", ctx.Err()
	}}, func(s *chassis.Settings) { s.Lifecycle.ServerTimeout = 100 * time.Millisecond })
	go func() { _, _ = call(context.Background(), r.conn, "") }()
	<-entered
	took, err := r.stop()
	if err == nil || !strings.Contains(err.Error(), "orders.v1.Orders/Place of 127.0.0.1") ||
		!strings.Contains(err.Error(), "had to be cancelled") {
		t.Errorf("the error is %v", err)
	}
	if got := <-cause; !errors.Is(got, parts.ErrStopping) {
		t.Errorf("the cause is %v", got)
	}
	if took > 5*time.Second {
		t.Errorf("the stop took %v", took)
	}
}

// One that ignores the end of its ctx holds the stop a second longer, and loses its
// connection.
func TestACallThatIgnoresItsCtx(t *testing.T) {
	t.Parallel() // it waits in real time
	entered, leave := make(chan struct{}), make(chan struct{})
	r := start(t, &api{place: func(context.Context, string) (string, error) {
		close(entered)
		<-leave
		return "", nil
	}}, func(s *chassis.Settings) { s.Lifecycle.ServerTimeout = 100 * time.Millisecond })
	answer := make(chan error, 1)
	go func() { _, err := call(context.Background(), r.conn, ""); answer <- err }()
	<-entered
	took, err := r.stop()
	if err == nil || !strings.Contains(err.Error(), "their connections are closed") ||
		!strings.Contains(err.Error(), "orders.v1.Orders/Place") {
		t.Errorf("the error is %v", err)
	}
	if took < time.Second || took > 6*time.Second {
		t.Errorf("the stop took %v", took)
	}
	if err := <-answer; status.Code(err) != codes.Unavailable {
		t.Errorf("the client got %v", err)
	}
	close(leave)
}

// A stream ends in its own way when readiness says no; calls end in peace.
func TestAStreamIsToldOfTheStop(t *testing.T) {
	entered := make(chan struct{}, 2)
	r := start(t, &api{
		feed: func(stream grpc.ServerStream) error {
			entered <- struct{}{}
			<-parts.Stopping(stream.Context())
			return stream.SendMsg(wrapperspb.String("goodbye"))
		},
		place: func(ctx context.Context, _ string) (string, error) {
			entered <- struct{}{}
			<-parts.Stopping(ctx)
			time.Sleep(50 * time.Millisecond) // the work of a call that is longer than the stop is old
			return "done", nil
		},
	}, nil)
	stream, err := open(context.Background(), r.conn)
	if err != nil {
		t.Fatal(err)
	}
	answer := make(chan string, 1)
	go func() {
		got, err := call(context.Background(), r.conn, "")
		answer <- got + status.Convert(err).Message()
	}()
	<-entered
	<-entered
	if _, err := r.stop(); err != nil {
		t.Error(err)
	}
	out := new(wrapperspb.StringValue)
	if err := stream.RecvMsg(out); err != nil || out.GetValue() != "goodbye" {
		t.Errorf("the stream got %q, %v", out.GetValue(), err)
	}
	if got := <-answer; got != "done" {
		t.Errorf("the call got %q", got)
	}
}

// gRPC waits for the handshake of each connection, up to its time limit, before it sends
// a GOAWAY: until then clients send on.
func TestAHandshakeDoesNotHoldTheGoAway(t *testing.T) {
	t.Parallel() // it waits in real time
	entered, leave := make(chan struct{}), make(chan struct{})
	r := start(t, &api{place: func(_ context.Context, order string) (string, error) {
		if order == "long" {
			close(entered)
			<-leave
		}
		return order, nil
	}}, nil)
	answer := make(chan error, 1)
	go func() { _, err := call(context.Background(), r.conn, "long"); answer <- err }()
	<-entered
	r.silent("")
	<-time.After(50 * time.Millisecond) // so that it is accepted: that has no sign
	stopped := make(chan error, 1)
	begun := time.Now()
	go func() { _, err := r.stop(); stopped <- err }()
	for {
		if _, err := call(t.Context(), r.conn, "short"); err != nil {
			break
		}
		if time.Since(begun) > 8*time.Second {
			t.Fatal("eight seconds after the stop began calls are taken")
		}
	}
	close(leave)
	if err := errors.Join(<-answer, <-stopped); err != nil {
		t.Error(err)
	}
}

// gRPC gives a client five seconds to answer its GOAWAY.
func TestAConnectionThatSendsNothingDoesNotHoldTheStop(t *testing.T) {
	t.Parallel() // it waits in real time
	r := start(t, echo(), nil)
	if _, err := call(t.Context(), r.conn, ""); err != nil {
		t.Fatal(err)
	}
	r.silent("")
	r.silent("PRI * HT")
	r.silent("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00") // and never reads
	<-time.After(50 * time.Millisecond)                                              // so that they are accepted: that has no sign
	if took, err := r.stop(); err != nil || took > 12*time.Second {
		t.Errorf("the stop took %v: %v", took, err)
	}
}

// Services are stopped at random moments under 200 calls a second. CHASSIS_SCALE=full
// makes 100 stops of the six.
func TestNoCallThatWasAcceptedFailsInAStop(t *testing.T) {
	t.Parallel() // it waits in real time
	stops := 6
	if os.Getenv("CHASSIS_SCALE") == "full" {
		stops = 100
	}
	good, refused := 0, 0
	for i := range stops {
		g, n := stopUnderCalls(t, time.Duration(i%2)*300*time.Millisecond)
		good, refused = good+g, refused+n
	}
	t.Logf("%d stops: %d calls answered, %d not accepted", stops, good, refused)
	if good < 5*stops {
		t.Errorf("only %d calls were answered", good)
	}
}

func stopUnderCalls(t *testing.T, delay time.Duration) (good, refused int) {
	var mu sync.Mutex
	entered, answers, begun := map[int]bool{}, map[int]error{}, map[int]time.Time{}
	r := start(t, &api{place: func(_ context.Context, order string) (string, error) {
		id, _ := strconv.Atoi(order)
		mu.Lock()
		entered[id] = true
		mu.Unlock()
		time.Sleep(time.Duration(rand.IntN(20)) * time.Millisecond) // the work
		return order, nil
	}}, func(s *chassis.Settings) { s.Lifecycle.StopDelay, s.Log.Level = delay, "error" })
	over := make(chan struct{})
	var clients sync.WaitGroup
	const workers = 4
	for k := range workers {
		conn := r.dial()
		clients.Go(func() {
			tick := time.NewTicker(20 * time.Millisecond) // with the others 200 a second
			defer tick.Stop()
			for id := k; ; id += workers {
				select {
				case <-over:
					return
				case <-tick.C:
				}
				at := time.Now()
				_, err := call(context.Background(), conn, strconv.Itoa(id))
				mu.Lock()
				answers[id], begun[id] = err, at
				mu.Unlock()
			}
		})
	}
	<-time.After(time.Duration(50+rand.IntN(100)) * time.Millisecond)
	said := time.Now()
	if _, err := r.stop(); err != nil {
		t.Errorf("stop: %v", err)
	}
	<-time.After(40 * time.Millisecond)
	close(over)
	clients.Wait()
	for id, err := range answers {
		switch {
		case err == nil:
			good++
		case entered[id]:
			t.Errorf("a call that was accepted failed, begun %v after the stop: %v", begun[id].Sub(said), err)
		case begun[id].Before(said.Add(delay/4)) && delay > 0: // the rest is for a busy machine
			t.Errorf("with a delay of %v a call failed that was begun %v after the stop: %v", delay, begun[id].Sub(said), err)
		default:
			refused++
		}
	}
	return good, refused
}
