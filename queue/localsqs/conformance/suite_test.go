package conformance_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// target is the endpoint to be checked.
type target struct {
	Client      *sqs.Client
	Endpoint    string       // URL for raw requests
	HTTP        *http.Client // for raw requests; nil: http.DefaultClient
	Credentials aws.CredentialsProvider
	Region      string
	Prefix      string // of queue names, at most 30 characters; default "conformance"
}

// suite is one run.
type suite struct {
	target
	t   *testing.T
	ctx context.Context
}

// run checks the target in subtests.
func run(t *testing.T, target target) {
	if target.HTTP == nil {
		target.HTTP = http.DefaultClient
	}
	if target.Prefix == "" {
		target.Prefix = "conformance"
	}
	target.Prefix = fmt.Sprintf("%s-%x-", target.Prefix, time.Now().UnixNano()&0xffffff)
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.run(&suite{target: target, t: t, ctx: t.Context()})
		})
	}
}

var cases = []struct {
	name string
	run  func(*suite)
}{
	{"Errors", (*suite).errors},
	{"CreateQueueGivesTheSameURLForTheSameAttributes", (*suite).createQueue},
	{"AttributesHaveTheirDefaults", (*suite).attributeDefaults},
	{"AttributesAreSetAndRemoved", (*suite).setAttributes},
	{"AttributesAreComparedByTheirMeaning", (*suite).otherWords},
	{"EncryptionEndsWithItsKey", (*suite).encryption},
	{"AQueueMayBeItsOwnDeadLetterQueue", (*suite).ownDeadLetters},
	{"ListQueuesGoesByPrefixAndPage", (*suite).listQueues},
	{"TagsComeAndGo", (*suite).tags},
	{"PermissionsMakeThePolicy", (*suite).permissions},
	{"DeleteQueueRemovesIt", (*suite).deleteQueue},
	{"PurgeRemovesAllMessages", (*suite).purge},
	{"AMessageIsSentReceivedAndDeleted", (*suite).roundTrip},
	{"AttributesAndTheirDigests", (*suite).messageAttributes},
	{"AttributeSelection", (*suite).selection},
	{"SystemAttributes", (*suite).systemAttributes},
	{"AttributeNamesMayHaveAnyLetters", (*suite).names},
	{"TheTraceHeaderOfASendIsTheMessages", (*suite).traceHeader},
	{"BatchesReportEachEntry", (*suite).batches},
	{"DelaysHoldMessagesBack", (*suite).delays},
	{"VisibilityEndsAndIsChanged", (*suite).visibility},
	{"ALongPollWakesOnSend", (*suite).longPoll},
	{"ReceiptHandles", (*suite).receipts},
	{"AReceiveIsRepeatedOnFIFOQueuesOnly", (*suite).repeatedReceive},
	{"FIFOKeepsTheOrderOfGroups", (*suite).fifoOrder},
	{"FIFOBatchesAreTakenWholeOrNotAtAll", (*suite).fifoBatch},
	{"FIFOGivesWhatComesBeforeAMessageInFlight", (*suite).fifoGiveBack},
	{"FIFOForgetsDeduplicationInAPurge", (*suite).fifoPurge},
	{"FIFODeduplicationScopeIsThatOfTheCreation", (*suite).fifoScope},
	{"FIFODeduplicates", (*suite).fifoDedup},
	{"FIFOReceiveAttemptsRepeat", (*suite).fifoAttempts},
	{"FairQueuesTakeTurns", (*suite).fair},
	{"DeadLettersMoveAndAreRedriven", (*suite).deadLetters},
	{"RedriveAllowPolicyIsEnforced", (*suite).redriveAllow},
}

// queue makes a queue that goes when the test ends.
func (s *suite) queue(name string, attrs map[string]string) *string {
	s.t.Helper()
	name = s.Prefix + name
	out, err := s.Client.CreateQueue(s.ctx, &sqs.CreateQueueInput{QueueName: &name, Attributes: attrs})
	if err != nil {
		s.t.Fatalf("create queue %s: %v", name, err)
	}
	s.t.Cleanup(func() {
		_, _ = s.Client.DeleteQueue(context.WithoutCancel(s.ctx), &sqs.DeleteQueueInput{QueueUrl: out.QueueUrl}) // may be gone already
	})
	return out.QueueUrl
}

func (s *suite) fifo(name string, attrs map[string]string) *string {
	all := map[string]string{"FifoQueue": "true"}
	for k, v := range attrs {
		all[k] = v
	}
	return s.queue(name+".fifo", all)
}

func (s *suite) send(url *string, body string) *sqs.SendMessageOutput {
	s.t.Helper()
	return s.sendInput(&sqs.SendMessageInput{QueueUrl: url, MessageBody: &body})
}

func (s *suite) sendInput(in *sqs.SendMessageInput) *sqs.SendMessageOutput {
	s.t.Helper()
	out, err := s.Client.SendMessage(s.ctx, in)
	if err != nil {
		s.t.Fatalf("send: %v", err)
	}
	return out
}

func (s *suite) receive(in *sqs.ReceiveMessageInput) []types.Message {
	s.t.Helper()
	out, err := s.Client.ReceiveMessage(s.ctx, in)
	if err != nil {
		s.t.Fatalf("receive: %v", err)
	}
	return out.Messages
}

// one receives exactly one message.
func (s *suite) one(in *sqs.ReceiveMessageInput) types.Message {
	s.t.Helper()
	list := s.receive(in)
	if len(list) != 1 {
		s.t.Fatalf("received %d messages, want 1", len(list))
	}
	return list[0]
}

func (s *suite) delete(url *string, m types.Message) {
	s.t.Helper()
	if _, err := s.Client.DeleteMessage(s.ctx, &sqs.DeleteMessageInput{QueueUrl: url, ReceiptHandle: m.ReceiptHandle}); err != nil {
		s.t.Fatalf("delete: %v", err)
	}
}

func (s *suite) attributes(url *string, names ...types.QueueAttributeName) map[string]string {
	s.t.Helper()
	out, err := s.Client.GetQueueAttributes(s.ctx, &sqs.GetQueueAttributesInput{QueueUrl: url, AttributeNames: names})
	if err != nil {
		s.t.Fatalf("get attributes: %v", err)
	}
	return out.Attributes
}

func (s *suite) equal(what string, got, want any) {
	s.t.Helper()
	if g, w := fmt.Sprint(got), fmt.Sprint(want); g != w {
		s.t.Errorf("%s is %s, want %s", what, g, w)
	}
}

func bodies(list []types.Message) []string {
	var b []string
	for _, m := range list {
		b = append(b, *m.Body)
	}
	return b
}

// refusal is how an endpoint says no.
type refusal struct {
	Status            int
	Type, Code, Fault string
	Message           string
}

// raw sends a request as it is, signed, with the headers name, value, ….
func (s *suite) raw(op, body string, headers ...string) (answer map[string]any, no *refusal) {
	s.t.Helper()
	all := map[string]string{"X-Amz-Target": "AmazonSQS." + op, "Content-Type": "application/x-amz-json-1.0"}
	for i := 0; i+1 < len(headers); i += 2 {
		all[headers[i]] = headers[i+1]
	}
	status, header, text := s.post(all, body)
	if header.Get("X-Amzn-Requestid") == "" {
		s.t.Errorf("%s: the answer has no x-amzn-RequestId", op)
	}
	if status == http.StatusOK {
		if err := json.Unmarshal(text, &answer); err != nil {
			s.t.Fatalf("%s: the answer is no JSON object: %v: %s", op, err, text)
		}
		return answer, nil
	}
	return nil, parseRefusal(s.t, status, header, text)
}

func parseRefusal(t *testing.T, status int, header http.Header, text []byte) *refusal {
	t.Helper()
	var e struct {
		Type    string `json:"__type"`
		Message string `json:"message"`
	}
	if err := json.Unmarshal(text, &e); err != nil {
		t.Fatalf("the refusal is no JSON object: %v: %s", err, text)
	}
	code, fault, _ := strings.Cut(header.Get("X-Amzn-Query-Error"), ";")
	return &refusal{status, e.Type, code, fault, e.Message}
}

func (s *suite) post(headers map[string]string, body string) (int, http.Header, []byte) {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.ctx, http.MethodPost, s.Endpoint+"/", bytes.NewReader([]byte(body)))
	if err != nil {
		s.t.Fatal(err)
	}
	for name, value := range headers {
		req.Header.Set(name, value)
	}
	creds, err := s.Credentials.Retrieve(s.ctx)
	if err != nil {
		s.t.Fatal(err)
	}
	sum := sha256.Sum256([]byte(body))
	if err := v4.NewSigner().SignHTTP(s.ctx, creds, req, hex.EncodeToString(sum[:]), "sqs", s.Region, time.Now()); err != nil {
		s.t.Fatal(err)
	}
	res, err := s.HTTP.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close() //nolint:errcheck // it was read to its end
	text, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return res.StatusCode, res.Header, text
}

// poll asks until done says so or some seconds have passed: for what the
// service does in its own time.
func (s *suite) poll(what string, done func() bool) {
	s.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	deadline := time.NewTimer(10 * time.Second)
	defer deadline.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-deadline.C:
			s.t.Fatalf("%s: not in 10 s", what)
		}
	}
}
