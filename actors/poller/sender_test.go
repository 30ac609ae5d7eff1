package poller_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/sambatech/chassis/actors/poller"
)

// all receives every message that is visible, in the queue's order, and
// deletes them.
func (q *queue) all() (ms []types.Message) {
	q.t.Helper()
	for {
		out, err := q.client.ReceiveMessage(context.Background(), &sqs.ReceiveMessageInput{QueueUrl: &q.url, MaxNumberOfMessages: 10,
			MessageAttributeNames: []string{"All"}, MessageSystemAttributeNames: []types.MessageSystemAttributeName{"All"}})
		if err != nil {
			q.t.Fatal(err)
		}
		if len(out.Messages) == 0 {
			return ms
		}
		for _, m := range out.Messages {
			if _, err := q.client.DeleteMessage(context.Background(), &sqs.DeleteMessageInput{QueueUrl: &q.url, ReceiptHandle: m.ReceiptHandle}); err != nil {
				q.t.Fatal(err)
			}
		}
		ms = append(ms, out.Messages...)
	}
}

func (q *queue) sender(opts ...poller.SenderOption) *poller.Sender {
	s := poller.NewSender(q.client, opts...)
	q.t.Cleanup(func() {
		if err := s.Close(context.Background()); err != nil {
			q.t.Error(err)
		}
	})
	return s
}

func TestALoneSendGoesAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		q := newQueue(t, "tasks")
		s := q.sender(poller.SenderLinger(time.Hour))
		began := time.Now()
		id, err := s.Send(t.Context(), poller.Outgoing{Pool: "tasks", Body: "x"})
		if err != nil || id == "" || time.Since(began) != 0 {
			t.Fatal(id, err, time.Since(began))
		}
		if ms := q.all(); len(ms) != 1 || *ms[0].MessageId != id {
			t.Fatal(ms)
		}
	})
}

// slow makes each request take d.
func slow(d time.Duration) fault {
	return func(_ string, body []byte, next func([]byte) (*http.Response, error)) (*http.Response, error) {
		time.Sleep(d)
		return next(body)
	}
}

func TestConcurrentSendersShareRequests(t *testing.T) {
	for _, tc := range []struct {
		linger time.Duration
		want   int
	}{{3 * time.Millisecond, 1 + 10}, {0, 1 + 99}} {
		t.Run(tc.linger.String(), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				q := newQueue(t, "tasks")
				q.wire.breakBy(slow(50 * time.Millisecond))
				s := q.sender(poller.SenderLinger(tc.linger), poller.SenderRequests(200))
				var wg sync.WaitGroup
				for i := range 100 {
					wg.Go(func() {
						if _, err := s.Send(t.Context(), poller.Outgoing{Pool: "tasks", Body: fmt.Sprint(i)}); err != nil {
							t.Error(err)
						}
					})
					if i == 0 {
						synctest.Wait() // the first is under way
					}
				}
				began := time.Now()
				wg.Wait()
				// 50 ms for the look-up, 50 ms for the request; the others
				// linger on top of that.
				if took := time.Since(began); took > 120*time.Millisecond {
					t.Error("took", took)
				}
				q.wire.restore()
				if n := q.wire.count("SendMessageBatch"); n != tc.want {
					t.Errorf("%d requests for 100 messages, want %d", n, tc.want)
				}
				if n := len(q.all()); n != 100 {
					t.Error("arrived:", n)
				}
			})
		})
	}
}

func TestRequestsUnderWayAreBounded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		q := newQueue(t, "tasks")
		var now, most int
		var mu sync.Mutex
		s := q.sender(poller.SenderRequests(3))
		if _, err := s.Send(t.Context(), poller.Outgoing{Pool: "tasks", Body: "first"}); err != nil {
			t.Fatal(err)
		}
		q.wire.breakBy(func(_ string, body []byte, next func([]byte) (*http.Response, error)) (*http.Response, error) {
			mu.Lock()
			now++
			most = max(most, now)
			mu.Unlock()
			time.Sleep(time.Millisecond)
			mu.Lock()
			now--
			mu.Unlock()
			return next(body)
		})
		if _, err := s.SendMany(t.Context(), outgoings("tasks", 200)); err != nil {
			t.Fatal(err)
		}
		q.wire.restore()
		if most != 3 {
			t.Error("requests at once:", most)
		}
		if n := len(q.all()); n != 201 {
			t.Error("arrived:", n)
		}
	})
}

func outgoings(pool string, n int) []poller.Outgoing {
	outs := make([]poller.Outgoing, n)
	for i := range outs {
		outs[i] = poller.Outgoing{Pool: pool, Body: fmt.Sprint(i)}
	}
	return outs
}

func TestBatchesKeepToTheSizeOfARequest(t *testing.T) {
	bubble(t, func(t *testing.T) {
		q := newQueue(t, "tasks")
		s := q.sender()
		outs := outgoings("tasks", 10)
		for i := range outs {
			outs[i].Body = strings.Repeat("x", 300<<10) // three fit
		}
		outs[9].Body = strings.Repeat("x", 1<<20)
		if _, err := s.SendMany(t.Context(), outs); err != nil {
			t.Fatal(err)
		}
		if n := q.wire.count("SendMessageBatch"); n != 4 {
			t.Error("requests:", n)
		}
		if n := len(q.all()); n != 10 {
			t.Error("arrived:", n)
		}
	})
}

func TestBadMessagesAreRefusedWithoutARequest(t *testing.T) {
	q := newQueue(t, "tasks")
	s := q.sender()
	text, none, empty := "String", "", ""
	value := func(v string) types.MessageAttributeValue {
		return types.MessageAttributeValue{DataType: &text, StringValue: &v}
	}
	attribute := func(name string, v types.MessageAttributeValue) map[string]types.MessageAttributeValue {
		return map[string]types.MessageAttributeValue{name: v}
	}
	many := map[string]types.MessageAttributeValue{}
	for i := range 11 {
		many[fmt.Sprint("a", i)] = value("x")
	}
	before := q.wire.total()
	for name, out := range map[string]poller.Outgoing{
		"empty body":             {},
		"control character":      {Body: "a\x01b"},
		"not UTF-8":              {Body: "a\xffb"},
		"U+FFFE":                 {Body: "\uFFFE"},
		"too long":               {Body: strings.Repeat("x", 1<<20+1)},
		"too long by attributes": {Body: strings.Repeat("x", 1<<20-10), Attributes: attribute("name", value("0123456789"))},
		"eleven attributes":      {Body: "x", Attributes: many},
		"reserved name":          {Body: "x", Attributes: attribute("AWS.x", value("x"))},
		"odd name":               {Body: "x", Attributes: attribute("a b", value("x"))},
		"Kelvin sign":            {Body: "x", Attributes: attribute("\u212A", value("x"))},
		"dotted name":            {Body: "x", Attributes: attribute("a..b", value("x"))},
		"no name":                {Body: "x", Attributes: attribute("", value("x"))},
		"long name":              {Body: "x", Attributes: attribute(strings.Repeat("n", 257), value("x"))},
		"no type":                {Body: "x", Attributes: attribute("a", types.MessageAttributeValue{DataType: &none, StringValue: &text})},
		"no value":               {Body: "x", Attributes: attribute("a", types.MessageAttributeValue{DataType: &text})},
		"empty value":            {Body: "x", Attributes: attribute("a", types.MessageAttributeValue{DataType: &text, StringValue: &empty})},
		"bad value":              {Body: "x", Attributes: attribute("a", value("\x00"))},
		"negative delay":         {Body: "x", Delay: -time.Second},
		"long delay":             {Body: "x", Delay: 901 * time.Second},
		"dedup on standard":      {Body: "x", DedupID: "d"},
		"long group":             {Body: "x", GroupID: strings.Repeat("g", 129)},
		"no group on FIFO":       {Pool: "tasks.fifo", Body: "x"},
		"delay on FIFO":          {Pool: "tasks.fifo", Body: "x", GroupID: "g", Delay: time.Second},
	} {
		if out.Pool == "" {
			out.Pool = "tasks"
		}
		if _, err := s.Send(t.Context(), out); !errors.Is(err, poller.ErrInvalidMessage) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, pool := range []string{"", "Tasks", "a b"} {
		if _, err := s.Send(t.Context(), poller.Outgoing{Pool: pool, Body: "x"}); !errors.Is(err, poller.ErrQueueName) {
			t.Errorf("%q: %v", pool, err)
		}
	}
	if n := q.wire.total() - before; n != 0 {
		t.Error("requests:", n)
	}
	for _, body := range []string{"\uFFFD", "😀\t\r\n", strings.Repeat("x", 1<<20)} {
		if _, err := s.Send(t.Context(), poller.Outgoing{Pool: "tasks", Body: body}); err != nil {
			t.Error(err)
		}
	}
}

func TestResultsAreOfEachMessage(t *testing.T) {
	bubble(t, func(t *testing.T) {
		q := newQueue(t, "tasks")
		outs := outgoings("tasks", 25)
		outs[3].Body, outs[17].Pool = "", "not a pool"
		results, err := q.sender().SendMany(t.Context(), outs)
		if err == nil || !strings.Contains(err.Error(), "2 of 25") {
			t.Error(err)
		}
		ids := map[string]string{}
		for i, r := range results {
			if (i == 3) != errors.Is(r.Err, poller.ErrInvalidMessage) || (i == 17) != errors.Is(r.Err, poller.ErrQueueName) || (r.Err == nil) != (r.MessageID != "") {
				t.Errorf("%d: %+v", i, r)
			}
			ids[r.MessageID] = outs[i].Body
		}
		ms := q.all()
		if len(ms) != 23 {
			t.Error("arrived:", len(ms))
		}
		for _, m := range ms {
			if ids[*m.MessageId] != *m.Body {
				t.Errorf("message %s has the id of %s", *m.Body, ids[*m.MessageId])
			}
		}
	})
}

func TestRefusedEntriesAreTriedAgainOneByOne(t *testing.T) {
	bubble(t, func(t *testing.T) {
		q := newQueue(t, "tasks")
		tries := map[string]int{}
		q.wire.breakBy(func(op string, body []byte, next func([]byte) (*http.Response, error)) (*http.Response, error) {
			if op != "SendMessageBatch" {
				return next(body)
			}
			bodies := entryBodies(t, body)
			return refuse(body, next, false, "InternalError", func(id string) bool {
				tries[bodies[id]]++
				return bodies[id] == "never" || bodies[id] == "third" && tries["third"] < 3
			})
		})
		outs := outgoings("tasks", 5)
		outs[1].Body, outs[2].Body = "third", "never"
		results, err := q.sender().SendMany(t.Context(), outs)
		var refused *poller.BatchError
		if !errors.As(err, &refused) || refused.Code != "InternalError" {
			t.Error(err)
		}
		for i, r := range results {
			if (r.Err != nil) != (i == 2) {
				t.Errorf("%d: %+v", i, r)
			}
		}
		if tries["third"] != 3 || tries["0"] != 1 || tries["never"] != 5 {
			t.Error("tries:", tries)
		}
		q.wire.restore()
		if n := len(q.all()); n != 4 {
			t.Error("arrived:", n)
		}
	})
}

func TestForGoodRefusedEntriesAreNotTriedAgain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		q := newQueue(t, "tasks")
		q.wire.breakBy(func(op string, body []byte, next func([]byte) (*http.Response, error)) (*http.Response, error) {
			if op != "SendMessageBatch" {
				return next(body)
			}
			return refuse(body, next, true, "InvalidMessageContents", func(id string) bool { return id == "0" })
		})
		results, _ := q.sender().SendMany(t.Context(), outgoings("tasks", 3))
		if results[0].Err == nil || results[1].Err != nil || q.wire.count("SendMessageBatch") != 1 {
			t.Error(results, q.wire.count("SendMessageBatch"))
		}
	})
}

// A request that the service refuses as a whole because of one of its
// messages must not take the others with it.
func TestOneMessageDoesNotSpoilTheBatch(t *testing.T) {
	bubble(t, func(t *testing.T) {
		q := newQueue(t, "tasks")
		q.wire.breakBy(func(op string, body []byte, next func([]byte) (*http.Response, error)) (*http.Response, error) {
			if op == "SendMessageBatch" && strings.Contains(string(body), "poison") {
				return respond(400, `{"__type":"com.amazonaws.sqs#InvalidMessageContents","message":"poison"}`), nil
			}
			return next(body)
		})
		outs := outgoings("tasks", 10)
		outs[4].Body = "poison"
		results, _ := q.sender().SendMany(t.Context(), outs)
		for i, r := range results {
			if (r.Err != nil) != (i == 4) {
				t.Errorf("%d: %+v", i, r)
			}
		}
	})
}

func entryBodies(t *testing.T, body []byte) map[string]string {
	var in struct {
		Entries []struct{ Id, MessageBody string }
	}
	if err := json.Unmarshal(body, &in); err != nil {
		t.Error(err)
	}
	bodies := map[string]string{}
	for _, e := range in.Entries {
		bodies[e.Id] = e.MessageBody
	}
	return bodies
}

func TestGroupsKeepTheirOrder(t *testing.T) {
	bubble(t, func(t *testing.T) {
		q := newQueue(t, "tasks.fifo")
		q.wire.breakBy(flaky(0, 0.3))
		s := q.sender()
		var outs []poller.Outgoing
		for i := range 300 {
			outs = append(outs, poller.Outgoing{Pool: "tasks.fifo", Body: fmt.Sprint(i), GroupID: fmt.Sprint("g", i%7)})
		}
		results, _ := s.SendMany(t.Context(), outs)
		q.wire.restore()
		sent := 0
		for i, r := range results {
			switch {
			case r.Err == nil:
				sent++
			case !errors.Is(r.Err, poller.ErrOrder):
				t.Errorf("%d: %v", i, r.Err)
			}
		}
		last := map[string]int{}
		ms := q.all()
		for _, m := range ms {
			var i int
			_, _ = fmt.Sscan(*m.Body, &i)
			group := m.Attributes["MessageGroupId"]
			if i < last[group] {
				t.Errorf("group %s: %d after %d", group, i, last[group])
			}
			last[group] = i
		}
		if len(ms) != sent {
			t.Errorf("arrived %d, sent %d", len(ms), sent)
		}
		t.Logf("%d of 300 sent in %d requests", sent, q.wire.count("SendMessageBatch"))
	})
}

func TestACtxThatEnds(t *testing.T) {
	bubble(t, func(t *testing.T) {
		q := newQueue(t, "tasks")
		s := q.sender(poller.SenderRequests(1), poller.SenderLinger(0))
		if _, err := s.Send(t.Context(), poller.Outgoing{Pool: "tasks", Body: "first"}); err != nil {
			t.Fatal(err)
		}
		q.wire.breakBy(slow(10 * time.Second))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		results, err := s.SendMany(ctx, outgoings("tasks", 15))
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
		mayBe, not := 0, 0
		for _, r := range results {
			switch {
			case strings.Contains(r.Err.Error(), "may yet send"):
				mayBe++
			case strings.Contains(r.Err.Error(), "not sent"):
				not++
			}
		}
		if mayBe != 10 || not != 5 {
			t.Errorf("%d may be sent, %d not", mayBe, not)
		}
		if _, err := s.Send(ctx, poller.Outgoing{Pool: "tasks", Body: "late"}); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		time.Sleep(time.Minute)
		q.wire.restore()
		if n := len(q.all()); n != 11 {
			t.Error("arrived:", n)
		}
		if p := s.Stats().Pending; p != 0 {
			t.Error("pending:", p)
		}
	})
}

func TestCloseSendsWhatWasTaken(t *testing.T) {
	bubble(t, func(t *testing.T) {
		q := newQueue(t, "tasks")
		q.wire.breakBy(slow(time.Second))
		s := poller.NewSender(q.client, poller.SenderLinger(time.Hour), poller.SenderRequests(1))
		var wg sync.WaitGroup
		for range 35 {
			wg.Go(func() {
				if _, err := s.Send(t.Context(), poller.Outgoing{Pool: "tasks", Body: "x"}); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		if err := s.Close(t.Context()); err != nil {
			t.Error(err)
		}
		wg.Wait()
		if _, err := s.Send(t.Context(), poller.Outgoing{Pool: "tasks", Body: "x"}); !errors.Is(err, poller.ErrSenderClosed) {
			t.Error(err)
		}
		if err := s.Close(t.Context()); err != nil {
			t.Error("second close:", err)
		}
		q.wire.restore()
		if n := len(q.all()); n != 35 {
			t.Error("arrived:", n)
		}
	})
}

func TestCloseGivesUpWithItsCtx(t *testing.T) {
	bubble(t, func(t *testing.T) {
		q := newQueue(t, "tasks")
		hang := make(chan struct{})
		q.wire.breakBy(func(string, []byte, func([]byte) (*http.Response, error)) (*http.Response, error) {
			<-hang
			return unavailable()
		})
		s := poller.NewSender(q.client)
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := s.Send(t.Context(), poller.Outgoing{Pool: "tasks", Body: "x"}); err == nil {
				t.Error("no error for what was not sent")
			}
		})
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		time.AfterFunc(2*time.Second, func() { close(hang) }) // this transport does not look at the request's ctx
		if err := s.Close(ctx); err == nil || !strings.Contains(err.Error(), "1 messages") {
			t.Error(err)
		}
		wg.Wait()
	})
}

func TestAQueueThatIsMadeAgainIsFound(t *testing.T) {
	q := newQueue(t, "tasks")
	s := q.sender(poller.SenderEnsure(func(string) poller.EnsureOptions { return poller.EnsureOptions{Create: true} }))
	for range 2 {
		if _, err := s.Send(t.Context(), poller.Outgoing{Pool: "tasks", Body: "x"}); err != nil {
			t.Fatal(err)
		}
		if _, err := q.client.DeleteQueue(t.Context(), &sqs.DeleteQueueInput{QueueUrl: &q.url}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := q.sender().Send(t.Context(), poller.Outgoing{Pool: "tasks", Body: "x"}); !errors.Is(err, poller.ErrNoQueue) {
		t.Fatal(err)
	}
}

func TestEnsureQueue(t *testing.T) {
	q := newQueue(t, "tasks")
	if _, err := poller.EnsureQueue(t.Context(), q.client, "other", poller.EnsureOptions{}); !errors.Is(err, poller.ErrNoQueue) {
		t.Error(err)
	}
	if _, err := poller.EnsureQueue(t.Context(), q.client, "Other", poller.EnsureOptions{Create: true}); !errors.Is(err, poller.ErrQueueName) {
		t.Error(err)
	}
	for name, tc := range map[string]struct {
		o    poller.EnsureOptions
		want map[string]string
	}{
		"plain":     {poller.EnsureOptions{Create: true}, map[string]string{"ReceiveMessageWaitTimeSeconds": "2", "VisibilityTimeout": "120"}},
		"long":      {poller.EnsureOptions{Create: true, Visibility: time.Hour, Retention: 14 * 24 * time.Hour}, map[string]string{"VisibilityTimeout": "3600", "MessageRetentionPeriod": "1209600"}},
		"line.fifo": {poller.EnsureOptions{Create: true}, map[string]string{"FifoQueue": "true"}},
	} {
		url, err := poller.EnsureQueue(t.Context(), q.client, name, tc.o)
		if err != nil {
			t.Error(err)
			continue
		}
		again, err := poller.EnsureQueue(t.Context(), q.client, name, poller.EnsureOptions{Create: true, Visibility: time.Second})
		if err != nil || again != url {
			t.Error(again, err)
		}
		out, err := q.client.GetQueueAttributes(t.Context(), &sqs.GetQueueAttributesInput{QueueUrl: &url, AttributeNames: []sqsName{"All"}})
		if err != nil {
			t.Fatal(err)
		}
		for k, v := range tc.want {
			if out.Attributes[k] != v {
				t.Errorf("%s: %s is %q, want %q", name, k, out.Attributes[k], v)
			}
		}
	}
}

// Two processes that start together both create the queue; the one that comes
// second, with settings of its own, must take the first one's.
func TestTheQueueAppearsWhileItIsBeingMade(t *testing.T) {
	q := newQueue(t, "tasks")
	q.wire.breakBy(func(op string, body []byte, next func([]byte) (*http.Response, error)) (*http.Response, error) {
		if op == "CreateQueue" {
			return respond(400, `{"__type":"com.amazonaws.sqs#QueueNameExists","message":"other attributes"}`), nil
		}
		if op == "GetQueueUrl" && q.wire.count("CreateQueue") == 1 { // the one of newQueue
			return respond(400, `{"__type":"com.amazonaws.sqs#QueueDoesNotExist","message":"none"}`), nil
		}
		return next(body)
	})
	if url, err := poller.EnsureQueue(t.Context(), q.client, "tasks", poller.EnsureOptions{Create: true}); err != nil || url != q.url {
		t.Error(url, err)
	}
}

func TestTraceHeaderAndGroupTravel(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newQueue(t, "tasks").start()
		header := "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1"
		if _, err := r.sender().Send(t.Context(), poller.Outgoing{Pool: r.url, Body: "x", TraceHeader: header, GroupID: "tenant"}); err != nil {
			t.Fatal(err)
		}
		r.want(1)
		if d := next[*poller.Delivered](r); d.TraceHeader != header || d.GroupID != "tenant" {
			t.Errorf("%+v", d)
		}
	})
}

func TestDelayIsKept(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newQueue(t, "tasks").start()
		began := time.Now()
		if _, err := r.sender().Send(t.Context(), poller.Outgoing{Pool: "tasks", Body: "x", Delay: 1500 * time.Millisecond}); err != nil {
			t.Fatal(err)
		}
		r.want(1)
		next[*poller.Delivered](r)
		if d := time.Since(began); d < 2*time.Second || d > 3*time.Second {
			t.Error("came after", d)
		}
	})
}

func TestSenderStats(t *testing.T) {
	q := newQueue(t, "tasks")
	s := q.sender()
	_, _ = s.SendMany(t.Context(), slices.Concat(outgoings("tasks", 12), []poller.Outgoing{{Pool: "tasks"}}))
	if got := s.Stats(); got.Sent != 12 || got.Refused != 1 || got.Pending != 0 || got.Requests < 2 || got.Failures != 0 {
		t.Errorf("%+v", got)
	}
}

func TestABatchToAQueueThatIsMadeAgain(t *testing.T) {
	q := newQueue(t, "tasks")
	s := q.sender(poller.SenderEnsure(func(string) poller.EnsureOptions { return poller.EnsureOptions{Create: true} }))
	for range 2 {
		if _, err := s.SendMany(t.Context(), outgoings("tasks", 10)); err != nil {
			t.Fatal(err)
		}
		if _, err := q.client.DeleteQueue(t.Context(), &sqs.DeleteQueueInput{QueueUrl: &q.url}); err != nil {
			t.Fatal(err)
		}
	}
	none := q.sender()
	if _, err := none.SendMany(t.Context(), outgoings("tasks", 2)); err == nil || !strings.Contains(err.Error(), "2 of 2") || none.Stats().Requests != 0 {
		t.Errorf("%v, %+v", err, none.Stats())
	}
}
