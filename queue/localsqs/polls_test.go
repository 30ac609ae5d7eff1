package localsqs_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
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
