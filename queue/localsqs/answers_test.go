package localsqs_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/sambatech/chassis/queue/localsqs"
)

// TestTheMemoryOfAnAnswerIsKeptOnceItIsClosed: one that is still open keeps its own, and one that
// is closed reads nothing of those after it.
func TestTheMemoryOfAnAnswerIsKeptOnceItIsClosed(t *testing.T) {
	server, err := localsqs.New()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = server.Close() }()
	client := server.HTTPClient()
	ask := func(op, body string) *http.Response {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://sqs.local/", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("X-Amz-Target", "AmazonSQS."+op)
		r.Header.Set("Content-Type", "application/x-amz-json-1.0")
		answer, err := client.Do(r)
		if err != nil || answer.StatusCode != http.StatusOK {
			t.Fatal(op, answer, err)
		}
		return answer
	}
	for _, op := range []struct{ name, body string }{{"CreateQueue", `{"QueueName":"q"}`},
		{"SendMessage", `{"QueueUrl":"http://sqs.local/000000000000/q","MessageBody":"first"}`},
		{"SendMessage", `{"QueueUrl":"http://sqs.local/000000000000/q","MessageBody":"other"}`},
		{"SendMessage", `{"QueueUrl":"http://sqs.local/000000000000/q","MessageBody":"third"}`}} {
		_ = ask(op.name, op.body).Body.Close()
	}
	receive := func() *http.Response { return ask("ReceiveMessage", `{"QueueUrl":"http://sqs.local/000000000000/q"}`) }
	open, closed := receive(), receive()
	if err := errors.Join(closed.Body.Close(), closed.Body.Close()); err != nil {
		t.Error(err)
	}
	third := receive()
	for answer, want := range map[*http.Response]string{open: "first", third: "third"} {
		text, err := io.ReadAll(answer.Body)
		if err != nil || int64(len(text)) != answer.ContentLength || !strings.Contains(string(text), want) {
			t.Errorf("%q, %v: want %s", text, err, want)
		}
	}
	if n, err := closed.Body.Read(make([]byte, 8)); n != 0 || !errors.Is(err, http.ErrBodyReadAfterClose) {
		t.Errorf("a closed answer reads %d bytes, %v", n, err)
	}
}
