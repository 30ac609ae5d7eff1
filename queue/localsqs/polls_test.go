package localsqs_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// polls is how many receives TestLongPollsDoNotSlowASend lets wait in process.
var polls = atScale(5_000, 100_000)

// socketPolls is how many wait over sockets. Each takes two descriptors here,
// at most 1024.
const socketPolls = 400

// ask makes a request of the protocol.
func ask(ctx context.Context, url, op, body string) *http.Request {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		panic(err) // the URL is the test's
	}
	r.Header.Set("X-Amz-Target", "AmazonSQS."+op)
	r.Header.Set("Content-Type", "application/x-amz-json-1.0")
	return r
}

// TestLongPollsDoNotSlowASend lets receives wait on a thousand queues, through
// the handler and over sockets, and times sends to a queue of their own and to
// queues where a receive waits.
func TestLongPollsDoNotSlowASend(t *testing.T) {
	const queues = 1000
	srv := newServer(t)
	url, err := srv.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	serve := func(ctx context.Context, op, body string) string {
		w := httptest.NewRecorder()
		srv.ServeHTTP(w, ask(ctx, "http://localhost", op, body))
		if w.Code != http.StatusOK && ctx.Err() == nil {
			t.Errorf("%s: %d %s", op, w.Code, w.Body)
		}
		return w.Body.String()
	}
	for i := range queues {
		serve(t.Context(), "CreateQueue", fmt.Sprintf(`{"QueueName":"q%d"}`, i))
	}
	serve(t.Context(), "CreateQueue", `{"QueueName":"own"}`)
	sends := func(queue func(int) string) time.Duration {
		var took []time.Duration
		for i := range 1001 {
			body := `{"QueueUrl":"` + queue(i) + `","MessageBody":"x"}`
			began := time.Now()
			serve(t.Context(), "SendMessage", body)
			took = append(took, time.Since(began))
		}
		slices.Sort(took)
		return took[len(took)/2]
	}
	own := func(int) string { return "own" }
	each := func(i int) string { return fmt.Sprint("q", i%queues) }
	quietOwn, quietEach := sends(own), sends(each)
	for i := range queues {
		serve(t.Context(), "PurgeQueue", fmt.Sprintf(`{"QueueUrl":"q%d"}`, i))
	}

	ctx, cancel := context.WithCancel(t.Context())
	var waiting sync.WaitGroup
	poll := `{"QueueUrl":"%s","WaitTimeSeconds":20,"MaxNumberOfMessages":10}`
	goOn := func(receive func(body string) bool) {
		waiting.Add(1)
		go func() {
			defer waiting.Done()
			for receive(poll) {
			}
		}()
	}
	for i := range polls {
		goOn(func(body string) bool {
			serve(ctx, "ReceiveMessage", fmt.Sprintf(body, each(i)))
			return ctx.Err() == nil
		})
	}
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: socketPolls}}
	defer client.CloseIdleConnections()
	for i := range socketPolls {
		goOn(func(body string) bool {
			res, err := client.Do(ask(ctx, url, "ReceiveMessage", fmt.Sprintf(body, each(i))))
			if err != nil {
				if ctx.Err() == nil {
					t.Error(err)
				}
				return false
			}
			_, _ = io.Copy(io.Discard, res.Body)
			_ = res.Body.Close()
			return ctx.Err() == nil
		})
	}
	parked := func() (n int) {
		for _, q := range srv.Stats().Queues {
			n += q.Waiting
		}
		return n
	}
	awaitParked := func(n int) {
		deadline := time.Now().Add(time.Minute)
		for parked() != n {
			if time.Now().After(deadline) {
				t.Fatalf("%d receives wait, want %d", parked(), n)
			}
			time.Sleep(20 * time.Millisecond) // sockets are outside of a synctest bubble
		}
	}
	awaitParked(polls + socketPolls)
	busyOwn := sends(own)
	busyEach := sends(each)
	t.Logf("a send takes %v to a queue of its own, %v with %d receives waiting on %d queues (%d of them over sockets); to a queue where some wait %v, where none do %v",
		quietOwn, busyOwn, polls+socketPolls, queues, socketPolls, busyEach, quietEach)
	if busyOwn > 3*quietOwn+50*time.Microsecond {
		t.Errorf("waiting receives slow a send from %v to %v", quietOwn, busyOwn)
	}
	cancel()
	waiting.Wait()
	awaitParked(0) // their clients have left
}

func TestALongPollWakesOnSendAndOnTheEndOfAVisibility(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newServer(t)
		client := newClient(srv)
		url := createQueue(t, client, "jobs", map[string]string{"VisibilityTimeout": "5"})
		got := make(chan []types.Message)
		go func() { got <- receive(t, client, url, 10, 20) }()
		synctest.Wait()
		send(t, client, url, "a")
		if m := <-got; len(m) != 1 {
			t.Fatalf("got %d messages, want 1", len(m))
		}
		began := time.Now()
		if m := receive(t, client, url, 10, 20); len(m) != 1 {
			t.Fatalf("got %d messages, want the first one again", len(m))
		}
		if waited := time.Since(began); waited != 5*time.Second {
			t.Errorf("waited %v, want 5s", waited)
		}
		began = time.Now()
		if m := receive(t, client, url, 10, 3); m != nil || time.Since(began) != 3*time.Second {
			t.Errorf("got %d messages after %v, want none after 3s", len(m), time.Since(began))
		}
	})
}

func TestALongPollEndsWithItsCallerAndWithTheServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newServer(t)
		client := newClient(srv)
		url := createQueue(t, client, "jobs", nil)
		ctx, cancel := context.WithCancel(context.Background())
		failed := make(chan error)
		poll := func(ctx context.Context) {
			_, err := client.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: url, WaitTimeSeconds: 20})
			failed <- err
		}
		go poll(ctx)
		synctest.Wait()
		cancel()
		if err := <-failed; !errors.Is(err, context.Canceled) {
			t.Errorf("error is %v, want context.Canceled", err)
		}
		began := time.Now()
		go poll(context.Background())
		synctest.Wait()
		if err := srv.Close(); err != nil {
			t.Error(err)
		}
		if err := <-failed; err != nil {
			t.Errorf("a poll ended by Close failed: %v", err)
		}
		if time.Since(began) != 0 {
			t.Errorf("Close took %v to end it", time.Since(began))
		}
	})
}
