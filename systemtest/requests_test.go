package systemtest_test

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/systemtest/internal/kit"
	"github.com/sambatech/chassis/task"
)

// TestNoRequestThatWasAcceptedFailsInAStop stops a service at random moments under a
// thousand requests a second. Every tenth request sends a task. CHASSIS_SCALE=full
// makes a thousand stops of the four.
func TestNoRequestThatWasAcceptedFailsInAStop(t *testing.T) {
	t.Parallel() // it waits in real time
	stops := 4
	if os.Getenv("CHASSIS_SCALE") == "full" {
		stops = 1000
	}
	client, made := queueOf(t, "shop-tasks")
	var all tally
	for i := range stops {
		all.add(stopUnderRequests(t, client, time.Duration(i%2)*time.Second))
		out, err := client.GetQueueAttributes(t.Context(), &sqs.GetQueueAttributesInput{QueueUrl: made.QueueUrl,
			AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameApproximateNumberOfMessagesNotVisible}})
		if err != nil {
			t.Fatal(err)
		}
		if n := out.Attributes["ApproximateNumberOfMessagesNotVisible"]; n != "0" {
			t.Errorf("stop %d left %s messages invisible", i, n)
		}
	}
	t.Logf("%d stops: %d requests answered, %d not accepted", stops, all.good, all.refused)
	if all.good < 10*stops {
		t.Errorf("only %d requests were answered", all.good)
	}
}

// tally counts requests.
type tally struct{ good, refused int }

func (n *tally) add(o tally) { n.good, n.refused = n.good+o.good, n.refused+o.refused }

// one is a request as its client saw it.
type one struct {
	begun time.Time
	keeps bool // its connection
	err   error
}

// closing is a listener that notes when it is closed.
type closing struct {
	net.Listener
	once sync.Once
	at   time.Time
}

func (c *closing) Close() error {
	err := c.Listener.Close()
	c.once.Do(func() { c.at = time.Now() })
	return err
}

// stopUnderRequests starts and stops a service once.
func stopUnderRequests(t *testing.T, client *sqs.Client, delay time.Duration) (n tally) {
	s := chassis.DefaultSettings()
	s.Tasks.TaskPool, s.Tasks.Workers, s.Tasks.ReceiveWait, s.Log.Level = "shop-tasks", 20, time.Second, "error"
	s.Lifecycle.StopDelay = delay
	sys, err := chassis.New("shop", chassis.WithSettings(s), chassis.WithSQS(client), chassis.WithLogOutput(t.Output()), chassis.WithoutDefaultLogger(), kit.ForTests)
	if err != nil {
		t.Fatal(err)
	}
	work := task.Define[int]("work")
	chassis.Handle(sys, work, func(context.Context, task.Job[int]) error {
		time.Sleep(time.Duration(rand.IntN(5)) * time.Millisecond) // the work
		return nil
	})
	var mu sync.Mutex
	entered, seen := map[int]bool{}, map[int]one{}
	plain, url := loopback(t)
	l := &closing{Listener: plain}
	sys.ServeOn(l, &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, _ := strconv.Atoi(r.Header.Get("X-Id"))
		mu.Lock()
		entered[id] = true
		mu.Unlock()
		time.Sleep(time.Duration(rand.IntN(5)) * time.Millisecond) // the work
		if id%10 == 0 {
			if _, err := chassis.Send(r.Context(), sys, work, id); err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
				return
			}
		}
		_, _ = io.WriteString(w, "ok")
	})})
	if err := sys.Start(t.Context()); err != nil {
		t.Fatal(err)
	}

	over := make(chan struct{})
	var clients sync.WaitGroup
	const workers = 10
	for k := range workers {
		clients.Go(func() {
			tr := &http.Transport{DisableKeepAlives: k%2 == 0}
			defer tr.CloseIdleConnections()
			tick := time.NewTicker(10 * time.Millisecond)
			defer tick.Stop()
			for id := k; ; id += workers {
				select {
				case <-over:
					return
				case <-tick.C:
				}
				begun := time.Now()
				err := askOnce(&http.Client{Transport: tr}, url, id)
				mu.Lock()
				seen[id] = one{begun, k%2 != 0, err}
				mu.Unlock()
			}
		})
	}
	<-time.After(time.Duration(30+rand.IntN(50)) * time.Millisecond)
	said := time.Now()
	err = sys.Stop(context.Background())
	stopped := time.Now()
	if err != nil {
		t.Errorf("stop: %v", err)
	}
	<-time.After(20 * time.Millisecond)
	close(over)
	clients.Wait()
	for id, r := range seen {
		switch {
		case r.err == nil:
			n.good++
		case entered[id]:
			t.Errorf("a request that was accepted failed, begun %v after the stop: %v", r.begun.Sub(said), r.err)
		case r.begun.Before(said.Add(delay/4)) && delay > 0: // the rest is for a busy machine
			t.Errorf("with a delay of %v a request failed that was begun %v after the stop: %v", delay, r.begun.Sub(said), r.err)
		default:
			n.refused++
		}
		if late := r.begun.After(l.at) && !r.keeps || r.begun.After(stopped); late && entered[id] {
			t.Errorf("a request was accepted that was begun %v after the stop, with a delay of %v", r.begun.Sub(said), delay)
		}
	}
	if l.at.Sub(said) < delay {
		t.Errorf("the listener was closed %v after the stop, with a delay of %v", l.at.Sub(said), delay)
	}
	return n
}

func askOnce(c *http.Client, url string, id int) error {
	req, err := http.NewRequest(http.MethodPost, url, nil)
	if err != nil {
		return err
	}
	req.Header.Set("X-Id", strconv.Itoa(id))
	res, err := c.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err == nil && string(text) != "ok" {
		err = fmt.Errorf("%s: %s", res.Status, text)
	}
	return err
}
