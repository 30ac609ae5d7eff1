package breaker_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/sambatech/chassis/actors/breaker"
)

// quiet is an actor system that logs nothing.
func quiet() *actor.ActorSystem {
	return actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return slog.New(slog.DiscardHandler) }),
		actor.WithDeadLetterThrottleInterval(time.Millisecond))
}

func Example() {
	system := quiet()
	defer system.Shutdown()
	mail, err := breaker.Spawn(system, "https://mail.internal", breaker.Settings{ClosedFailLimit: 2})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = mail.Stop(context.Background()) }()

	send := func(context.Context) error { return errors.New("connection refused") }
	for range 3 {
		err := mail.Do(context.Background(), "/v1/send", send)
		fmt.Println(errors.Is(err, breaker.ErrOpen), mail.State())
	}
	// Output:
	// false closed
	// false open
	// true open
}

func ExampleBreaker_Client() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "60")
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	defer server.Close()
	system := quiet()
	defer system.Shutdown()
	b, err := breaker.Spawn(system, server.URL, breaker.Settings{ClosedFailLimit: 1})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = b.Stop(context.Background()) }()
	client := b.Client()
	defer client.CloseIdleConnections()

	res, err := client.Get(server.URL + "/v1/inbox")
	if err == nil {
		fmt.Println(res.Status)
		_ = res.Body.Close()
	}
	_, err = client.Get(server.URL + "/v1/inbox")
	if open, ok := errors.AsType[*breaker.OpenError](err); ok {
		fmt.Println("refused, try again in", open.RetryAfter().Round(time.Second))
	}
	// Output:
	// 503 Service Unavailable
	// refused, try again in 1m0s
}

// A service that fails now and then: a client asks twice more before its caller hears of it.
func ExampleRetry() {
	requests := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if requests++; requests < 3 {
			w.WriteHeader(http.StatusBadGateway)
		}
	}))
	defer server.Close()
	system := quiet()
	defer system.Shutdown()
	mail, err := breaker.Spawn(system, server.URL, breaker.Settings{}, breaker.WithRetryBudget(0.1, 5))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = mail.Stop(context.Background()) }()
	client := mail.Client(breaker.Retry(2))
	defer client.CloseIdleConnections()

	res, err := client.Get(server.URL + "/v1/inbox") // GET is idempotent
	if err != nil {
		fmt.Println(err)
		return
	}
	_ = res.Body.Close()
	fmt.Println(res.Status, "after", mail.HTTPCalls().Retried, "retries")

	requests = 0
	res, err = client.Post(server.URL+"/v1/send", "text/plain", strings.NewReader("hello")) // POST is not
	if err != nil {
		fmt.Println(err)
		return
	}
	_ = res.Body.Close()
	fmt.Println(res.Status)
	// Output:
	// 200 OK after 2 retries
	// 502 Bad Gateway
}

// A GET that takes longer than most is sent a second time.
func ExampleHedge() {
	system := quiet()
	defer system.Shutdown()
	mail, err := breaker.Spawn(system, "https://mail.internal", breaker.Settings{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = mail.Stop(context.Background()) }()
	client := mail.Client(breaker.Hedge(), breaker.RetryPolicy{Most: 2, Total: 5 * time.Second})
	fmt.Println(client != nil, mail.HTTPCalls().Hedged)
	// Output: true 0
}

// At most one call of this service is in flight, and no call waits for it.
func ExampleWithLimit() {
	system := quiet()
	defer system.Shutdown()
	limit := breaker.Fixed(1)
	limit.Queue = -1
	mail, err := breaker.Spawn(system, "https://mail.internal", breaker.Settings{}, breaker.WithLimit(limit))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = mail.Stop(context.Background()) }()

	err = mail.Do(context.Background(), "/v1/send", func(ctx context.Context) error {
		err := mail.Do(ctx, "/v1/send", func(context.Context) error { return nil })
		fmt.Println(err, errors.Is(err, breaker.ErrLimited))
		return nil
	})
	fmt.Println(err)
	// Output:
	// circuit breaker of https://mail.internal: the limit of 1 calls in flight is reached, and the queue is full true
	// <nil>
}

// A GraphQL service answers 200 to everything and puts its errors in the body.
func ExampleWithBodyPeek() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"errors":[{"extensions":{"code":"INTERNAL_SERVER_ERROR"}}],"data":null}`)
	}))
	defer server.Close()
	system := quiet()
	defer system.Shutdown()
	internal := func(o breaker.Outcome) breaker.Verdict {
		if bytes.Contains(o.Body, []byte(`"INTERNAL_SERVER_ERROR"`)) {
			return breaker.Failure
		}
		return o.Default
	}
	isJSON := func(res *http.Response) bool {
		return strings.HasPrefix(res.Header.Get("Content-Type"), "application/json")
	}
	b, err := breaker.Spawn(system, server.URL, breaker.Settings{ClosedFailLimit: 1},
		breaker.WithClassifier(internal), breaker.WithBodyPeek(4096, isJSON))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = b.Stop(context.Background()) }()
	client := b.Client()
	defer client.CloseIdleConnections()

	res, err := client.Get(server.URL + "/graphql")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(res.Status, b.State())
	body, err := io.ReadAll(res.Body)
	fmt.Println(len(body), err, b.State())
	_ = res.Body.Close()
	// Output:
	// 200 OK closed
	// 72 <nil> open
}

func ExampleExecute() {
	system := quiet()
	defer system.Shutdown()
	users, err := breaker.Spawn(system, "https://users.internal", breaker.Settings{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = users.Stop(context.Background()) }()
	name, err := breaker.Execute(context.Background(), users, "/v1/users/7", func(context.Context) (string, error) { return "Ada", nil })
	fmt.Println(name, err)
	// Output: Ada <nil>
}

func ExampleBreaker_ForceOpen() {
	system := quiet()
	defer system.Shutdown()
	shop, err := breaker.Spawn(system, "https://shop.internal", breaker.Settings{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = shop.Stop(context.Background()) }()
	_ = shop.ForceOpen("/reports", 0) // everything under /reports, until Reset
	fmt.Println(shop.Check("/reports/daily"))
	fmt.Println(shop.Check("/orders"))
	_ = shop.Reset("/reports")
	for _, t := range shop.Transitions(0) {
		fmt.Println(t.Seq, t.Entry, t.From, "->", t.To, "by", t.Reason)
	}
	// Output:
	// circuit breaker of https://shop.internal/reports is forced-open
	// <nil>
	// 1 /reports closed -> forced-open by an operator's order
	// 2 /reports forced-open -> closed by a reset
}

func ExampleBreaker_Route() {
	system := quiet()
	defer system.Shutdown()
	mail, err := breaker.Spawn(system, "https://mail.internal", breaker.Settings{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = mail.Stop(context.Background()) }()
	send := mail.Route("/v1/send") // looked up once
	fmt.Println(send.Do(context.Background(), func(context.Context) error { return nil }))
	_ = mail.ForceOpen("/v1", 0)
	fmt.Println(send.Do(context.Background(), func(context.Context) error { return nil }))
	// Output:
	// <nil>
	// circuit breaker of https://mail.internal/v1 is forced-open
}

// Any actor can use a breaker by its PID.
func ExampleCall() {
	system := quiet()
	defer system.Shutdown()
	mail, err := breaker.Spawn(system, "https://mail.internal", breaker.Settings{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = mail.Stop(context.Background()) }()
	call := &breaker.Call{Path: "/v1/send", Fn: func(context.Context) error { return nil }}
	reply, err := system.Root.RequestFuture(mail.PID(), call, 5*time.Second).Result()
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(reply.(*breaker.CallResult).Err)
	// Output: <nil>
}
