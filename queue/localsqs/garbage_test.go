package localsqs_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/sambatech/chassis/queue/localsqs"
)

// answer performs a request by the handler; the answer must be JSON whatever
// was asked.
func answer(t *testing.T, srv *localsqs.Server, op, body string, header map[string]string) (status int, text string) {
	t.Helper()
	r := ask(t.Context(), "http://localhost", op, body)
	for k, v := range header {
		r.Header[k] = []string{v}
	}
	w := httptest.NewRecorder()
	srv.ServeHTTP(w, r)
	if text = w.Body.String(); !json.Valid([]byte(text)) || !utf8.ValidString(text) {
		t.Errorf("%s %.80q: the answer is no JSON: %q", op, body, text)
	}
	return w.Code, text
}

func TestGarbageIsRefusedAndHarmsNothing(t *testing.T) {
	srv := newServer(t)
	answer(t, srv, "CreateQueue", `{"QueueName":"jobs"}`, nil)
	deep := strings.Repeat("[", 1_000_000)
	bomb := strings.Repeat(`{\"a\":`, 20_000)
	for _, c := range []struct{ op, body, want string }{
		{"SendMessage", deep, "SerializationException"},
		{"SendMessage", `{"QueueUrl":"jobs","MessageBody":"x","Unknown":` + deep, "SerializationException"},
		{"SendMessage", strings.Repeat(`{"MessageAttributes":`, 100_000), "SerializationException"},
		{"SetQueueAttributes", `{"QueueUrl":"jobs","Attributes":{"Policy":"` + bomb + `"}}`, "InvalidAttributeValue"},
		{"SetQueueAttributes", `{"QueueUrl":"jobs","Attributes":{"RedrivePolicy":"` + bomb + `"}}`, "InvalidParameterValue"},
		{"SetQueueAttributes", `{"QueueUrl":"jobs","Attributes":{"DelaySeconds":"99999999999999999999"}}`, "InvalidAttributeValue"},
		{"SetQueueAttributes", `{"QueueUrl":"jobs","Attributes":{"DelaySeconds":""}}`, "InvalidAttributeValue"},
		{"SendMessage", "{\"QueueUrl\":\"jobs\",\"MessageBody\":\"\xff\"}", "SerializationException"},
		{"SendMessage", `{"QueueUrl":"jobs","MessageBody":"\ud800"}`, "SerializationException"},
		{"SendMessage", `{"QueueUrl":"jobs","MessageBody":"x"} trailing`, "SerializationException"},
		{"SendMessage", `{"QueueUrl":"jobs","MessageBody":"x","DelaySeconds":1e400}`, "SerializationException"},
		{"SendMessage", `{"QueueUrl":"jobs","MessageBody":"x","DelaySeconds":1.5}`, "SerializationException"},
		{"SendMessage", `{"QueueUrl":"jobs","MessageBody":"x","DelaySeconds":"1"}`, "SerializationException"},
		{"SendMessage", `{"QueueUrl":"jobs","MessageBody":"x","DelaySeconds":9223372036854775808}`, "SerializationException"},
		{"SendMessage", `{"QueueUrl":"jobs","MessageBody":"x","DelaySeconds":9223372036854775807}`, "InvalidParameterValue"},
		{"SendMessage", `{"QueueUrl":"jobs","MessageBody":"x","DelaySeconds":-9223372036854775808}`, "InvalidParameterValue"},
		{"ReceiveMessage", `{"QueueUrl":"jobs","VisibilityTimeout":-1}`, "InvalidParameterValue"},
		{"ReceiveMessage", `{"QueueUrl":"jobs","WaitTimeSeconds":-1}`, "InvalidParameterValue"},
		{"DeleteMessage", `{"QueueUrl":"jobs","ReceiptHandle":"` + strings.Repeat("A", 1<<20) + `"}`, "ReceiptHandleIsInvalid"},
		{"SendMessageBatch", `{"QueueUrl":"jobs","Entries":[` + strings.Repeat(`{},`, 100_000) + `{}]}`, "TooManyEntriesInBatchRequest"},
		{"SendMessageBatch", `{"QueueUrl":"jobs","Entries":null}`, "MissingRequiredParameterException"},
		{"SendMessageBatch", `{"QueueUrl":"jobs","Entries":[null]}`, "MissingRequiredParameterException"},
		{"Send\xffMessage", `{}`, "UnsupportedOperation"},
		{strings.Repeat("x", 60_000), `{}`, "UnsupportedOperation"},
	} {
		if status, text := answer(t, srv, c.op, c.body, nil); status != 400 || !strings.Contains(text, "#"+c.want) {
			t.Errorf("%.20q %.80q: %d %.300s, want %s", c.op, c.body, status, text, c.want)
		}
	}
	// A member given twice: the last holds, as with most readers.
	if status, text := answer(t, srv, "SendMessageBatch", `{"QueueUrl":"none","Entries":[{"Id":"a","MessageBody":"1","DelaySeconds":900}],"QueueUrl":"jobs","Entries":[{"Id":"b","MessageBody":"2"}]}`, nil); status != 200 || strings.Contains(text, `"a"`) {
		t.Errorf("members given twice: %d %s", status, text)
	}
	if q := srv.Stats().Queues[0]; q.Visible != 1 || q.Delayed != 0 {
		t.Errorf("after all that the queue is %+v, want one message", q)
	}
}

// What a header says of the sender goes out with the message to each receiver.
func TestASenderThatIsNoAccessKeyIsNotKept(t *testing.T) {
	srv := newServer(t)
	answer(t, srv, "CreateQueue", `{"QueueName":"jobs"}`, nil)
	for _, sender := range []string{"\xff\xfe", strings.Repeat("k", 60_000), "a b", `"`} {
		auth := map[string]string{"Authorization": "AWS4-HMAC-SHA256 Credential=" + sender + "/20261123/us-east-1/sqs/aws4_request"}
		if status, text := answer(t, srv, "SendMessage", `{"QueueUrl":"jobs","MessageBody":"x"}`, auth); status != 200 {
			t.Errorf("sent by %.20q: %d %s", sender, status, text)
		}
		if _, text := answer(t, srv, "ReceiveMessage", `{"QueueUrl":"jobs","AttributeNames":["All"]}`, nil); !strings.Contains(text, `"SenderId":"000000000000"`) {
			t.Errorf("sent by %.20q, received %.500s", sender, text)
		}
	}
}

func TestMemoryFollowsWhatHasComeNotWhatWasAnnounced(t *testing.T) {
	srv := newServer(t)
	allocated := func(body io.Reader, length int64) uint64 {
		r := ask(t.Context(), "http://localhost", "ListQueues", "")
		r.Body, r.ContentLength = io.NopCloser(body), length
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		w := httptest.NewRecorder()
		srv.ServeHTTP(w, r)
		runtime.ReadMemStats(&after)
		if body, _ := body.(*bytes.Reader); body == nil && w.Code != 400 || body != nil && w.Code != 200 {
			t.Errorf("%d announced: %d %s", length, w.Code, w.Body)
		}
		return after.TotalAlloc - before.TotalAlloc
	}
	if n := allocated(strings.NewReader("{}"), 8<<20); n > 1<<20 {
		t.Errorf("a body of 8 MiB was announced and none came: %d bytes were allocated", n)
	}
	whole := append(bytes.Repeat([]byte(" "), 1_000_000), "{}"...)
	allocated(bytes.NewReader(whole), int64(len(whole)))
}

// Without the operation in the signature, who sees a request can make another
// of it.
func TestASignatureMustCoverTheOperation(t *testing.T) {
	url := listen(t, newServer(t, localsqs.Credentials("id", "secret")))
	for _, covered := range []bool{true, false} {
		r := ask(t.Context(), url, "ListQueues", "{}")
		r.Close = true
		if !covered {
			r.Header.Del("X-Amz-Target")
		}
		sum := sha256.Sum256([]byte("{}"))
		if err := v4.NewSigner().SignHTTP(t.Context(), aws.Credentials{AccessKeyID: "id", SecretAccessKey: "secret"}, r, hex.EncodeToString(sum[:]), "sqs", "us-east-1", time.Now()); err != nil {
			t.Fatal(err)
		}
		r.Header.Set("X-Amz-Target", "AmazonSQS.ListQueues")
		want := http.StatusOK
		if !covered {
			want = http.StatusForbidden
		}
		if status, _, text := do(t, r); status != want {
			t.Errorf("operation signed %v: %d %s, want %d", covered, status, text, want)
		}
	}
}

// A stranger's body is not read into memory before the signature's header.
func TestAStrangersBodyIsNotKept(t *testing.T) {
	srv := newServer(t, localsqs.Credentials("id", "secret"))
	r := ask(t.Context(), "http://localhost", "ListQueues", "")
	r.Body, r.ContentLength = io.NopCloser(io.MultiReader(strings.NewReader(strings.Repeat(" ", 1<<20)), broken{})), 8<<20
	w := httptest.NewRecorder()
	srv.ServeHTTP(w, r)
	if w.Code != http.StatusForbidden || !strings.Contains(w.Body.String(), "MissingAuthenticationToken") {
		t.Errorf("%d %s, want MissingAuthenticationToken and not the fault of the body", w.Code, w.Body)
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("broken off") }
