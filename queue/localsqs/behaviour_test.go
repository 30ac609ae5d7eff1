package localsqs_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/sambatech/chassis/queue/localsqs"
)

// losing answers the first receive with an error after the server has carried
// it out: the answer is lost on its way.
type losing struct {
	next http.RoundTripper
	lost *bool
}

func (l losing) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := l.next.RoundTrip(r)
	if strings.HasSuffix(r.Header.Get("X-Amz-Target"), ".ReceiveMessage") && !*l.lost {
		*l.lost = true
		return nil, io.ErrUnexpectedEOF
	}
	return res, err
}

// On a standard queue the messages of a lost answer stay hidden, as with SQS;
// a FIFO queue gives them again to the SDK's repetition.
func TestOnlyAFIFOQueueRepeatsAReceiveWhoseAnswerIsLost(t *testing.T) {
	for name, want := range map[string]struct {
		first                       string
		received, inFlight, visible int
	}{
		"jobs":      {"3", 2, 5, 0},
		"jobs.fifo": {"0", 3, 3, 2},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := newServer(t)
				client := newClient(srv)
				var attributes map[string]string
				in := &sqs.SendMessageInput{}
				if strings.HasSuffix(name, ".fifo") {
					attributes = map[string]string{"FifoQueue": "true", "ContentBasedDeduplication": "true"}
					in.MessageGroupId = aws.String("g")
				}
				url := createQueue(t, client, name, attributes)
				for i := range 5 {
					in.QueueUrl, in.MessageBody = url, aws.String(fmt.Sprint(i))
					if _, err := client.SendMessage(t.Context(), in); err != nil {
						t.Fatal(err)
					}
				}
				lost := false
				unlucky := sqs.New(sqs.Options{Region: "us-east-1", BaseEndpoint: aws.String("http://l"), Credentials: credentials.NewStaticCredentialsProvider("a", "b", ""),
					HTTPClient: &http.Client{Transport: losing{srv.HTTPClient().Transport, &lost}}})
				if got := receive(t, unlucky, url, 3, 0); len(got) != want.received || *got[0].Body != want.first || !lost {
					t.Errorf("got %d messages after the loss, want %d from number %s on", len(got), want.received, want.first)
				}
				if s := srv.Stats().Queues[0]; s.InFlight != want.inFlight || s.Visible != want.visible {
					t.Errorf("%d in flight and %d visible, want %d and %d", s.InFlight, s.Visible, want.inFlight, want.visible)
				}
			})
		})
	}
}

func TestMessagesExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newServer(t)
		client := newClient(srv)
		url := createQueue(t, client, "jobs", map[string]string{"MessageRetentionPeriod": "60"})
		send(t, client, url, "a")
		time.Sleep(30 * time.Second) // the bubble's clock
		send(t, client, url, "b")
		time.Sleep(30 * time.Second)
		if s := srv.Stats().Queues[0]; s.Visible != 1 {
			t.Errorf("%d messages after a minute, want the later one", s.Visible)
		}
		time.Sleep(30 * time.Second)
		if s := srv.Stats().Queues[0]; s.Visible != 0 {
			t.Errorf("%d messages after a minute and a half, want none", s.Visible)
		}
	})
}

func TestStrictModeMakesNamesAndPurgesWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := newClient(newServer(t, localsqs.Strict()))
		url := createQueue(t, client, "jobs", nil)
		purge := func() error {
			_, err := client.PurgeQueue(t.Context(), &sqs.PurgeQueueInput{QueueUrl: url})
			return err
		}
		if err := purge(); err != nil {
			t.Fatal(err)
		}
		wantCode(t, purge(), "AWS.SimpleQueueService.PurgeQueueInProgress")
		time.Sleep(time.Minute)
		if err := purge(); err != nil {
			t.Error(err)
		}
		if _, err := client.DeleteQueue(t.Context(), &sqs.DeleteQueueInput{QueueUrl: url}); err != nil {
			t.Fatal(err)
		}
		_, err := client.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: aws.String("jobs")})
		wantCode(t, err, "AWS.SimpleQueueService.QueueDeletedRecently")
		time.Sleep(time.Minute)
		createQueue(t, client, "jobs", nil)
	})
}

func TestRegionsHaveTheirOwnNames(t *testing.T) {
	srv := newServer(t, localsqs.Account("123456789012"))
	client := newClient(srv)
	createQueue(t, client, "jobs", nil)
	other := sqs.New(sqs.Options{Region: "eu-west-3", BaseEndpoint: aws.String("http://l"), Credentials: credentials.NewStaticCredentialsProvider("a", "b", ""), HTTPClient: srv.HTTPClient()})
	_, err := other.GetQueueUrl(t.Context(), &sqs.GetQueueUrlInput{QueueName: aws.String("jobs")})
	wantCode(t, err, "AWS.SimpleQueueService.NonExistentQueue")
	url := createQueue(t, other, "jobs", nil)
	out, err := other.GetQueueAttributes(t.Context(), &sqs.GetQueueAttributesInput{QueueUrl: aws.String("jobs"), AttributeNames: []types.QueueAttributeName{"QueueArn"}})
	if err != nil || out.Attributes["QueueArn"] != "arn:aws:sqs:eu-west-3:123456789012:jobs" || *url != "http://l/123456789012/jobs" {
		t.Errorf("URL %s, attributes %v, %v", *url, out.Attributes, err)
	}
}

func TestADeletedQueueEndsItsPolls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := newClient(newServer(t))
		url := createQueue(t, client, "jobs", nil)
		failed := make(chan error)
		go func() {
			_, err := client.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: url, WaitTimeSeconds: 20})
			failed <- err
		}()
		synctest.Wait()
		if _, err := client.DeleteQueue(t.Context(), &sqs.DeleteQueueInput{QueueUrl: url}); err != nil {
			t.Fatal(err)
		}
		wantCode(t, <-failed, "AWS.SimpleQueueService.NonExistentQueue")
	})
}

func TestACallAfterCloseSaysSo(t *testing.T) {
	srv := newServer(t)
	client := newClient(srv)
	if err := srv.Close(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	_, err := client.ListQueues(ctx, &sqs.ListQueuesInput{}, func(o *sqs.Options) { o.Retryer = aws.NopRetryer{} })
	if err == nil || !strings.Contains(err.Error(), localsqs.ErrClosed.Error()) {
		t.Errorf("error is %v, want ErrClosed", err)
	}
	if err := srv.Health(); err == nil {
		t.Error("a closed server is healthy")
	}
}

func TestNothingIsListenedToAndLookedAtAfterClose(t *testing.T) {
	srv := newServer(t)
	if err := srv.Close(); err != nil {
		t.Fatal(err)
	}
	if url, err := srv.Listen("127.0.0.1:0"); !errors.Is(err, localsqs.ErrClosed) {
		t.Errorf("listens at %q, error %v, want ErrClosed", url, err)
	}
	if _, err := srv.Peek("jobs", 1); !errors.Is(err, localsqs.ErrClosed) {
		t.Errorf("a look: error is %v, want ErrClosed", err)
	}
}

// A worker polls again as soon as its poll is answered; that must not hold up
// the end. A call that does not end is cut off at the deadline, not left behind.
func TestAShutdownEndsLaterPollsAndCutsOffWhatDoesNotEnd(t *testing.T) {
	srv := newServer(t)
	client := newClient(srv)
	queue := createQueue(t, client, "jobs", nil)
	url, err := srv.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close() //nolint:errcheck // the server closes it
	if _, err := io.WriteString(conn, "POST / HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	answer := bufio.NewReader(conn)
	if line, err := answer.ReadString('\n'); err != nil || !strings.Contains(line, "100") {
		t.Fatalf("%q, error %v, want the server to wait for the body", line, err)
	}

	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- srv.Shutdown(ctx) }()
	receive(t, client, queue, 1, 20) // ends when the shutdown has begun
	began := time.Now()
	receive(t, client, queue, 1, 20)
	if took := time.Since(began); took > 15*time.Second {
		t.Errorf("a poll after that waited %v", took)
	}
	cancel()
	if err := conn.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "cut off") {
		t.Errorf("error is %v, want one that says what was cut off", err)
	}
	if _, err := io.ReadAll(answer); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("the connection is still open")
	}
}

func TestABodyOfUnknownLengthIsReadInProcess(t *testing.T) {
	srv := newServer(t)
	createQueue(t, newClient(srv), "jobs", nil)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://localsqs.internal", io.MultiReader(strings.NewReader(`{"QueueName":"jobs"}`)))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Amz-Target", "AmazonSQS.GetQueueUrl")
	r.Header.Set("Content-Type", "application/x-amz-json-1.0")
	resp, err := srv.HTTPClient().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close() //nolint:errcheck // it is in memory
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Errorf("status %d, error %v: %s", resp.StatusCode, err, text)
	}
}

// The option makes the server behave as AWS at its worst; the pages stay exact.
func TestAsAWSMakesTheServerUnkind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newServer(t, localsqs.AsAWS(1))
		client := newClient(srv)
		url := createQueue(t, client, "jobs", nil)
		for i := range 60 {
			send(t, client, url, fmt.Sprintf("%02d", i))
		}
		var bodies []string
		for len(bodies) < 60 {
			for _, m := range receive(t, client, url, 10, 1) {
				bodies = append(bodies, *m.Body)
				remove(t, client, url, m)
			}
		}
		if slices.IsSorted(bodies) {
			t.Error("a standard queue keeps its order")
		}
		if s := srv.Stats().Queues[0]; s.Visible != 0 || s.InFlight != 0 {
			t.Errorf("after all were deleted: %+v", s)
		}
	})
}
