package wire

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/sambatech/chassis/queue/localsqs/internal/engine"
)

func TestDecodeSaysWhatIsWrongAndWhere(t *testing.T) {
	for body, want := range map[string]string{
		`{"Entries":[{"DelaySeconds":"5"}]}`: "STRING_VALUE can not be converted to an Integer (/Entries/0/DelaySeconds).",
		`{"Entries":{}}`:                     "Start of structure or map found where not expected (/Entries).",
		`{"Entries":[{"MessageBody":[]}]}`:   "Start of list found where not expected (/Entries/0/MessageBody).",
		`{"Entries":[{"DelaySeconds":1.5}]}`: "NUMBER_VALUE can not be converted to an Integer (/Entries/0/DelaySeconds).",
		`{"Entries":[`:                       "The request is not JSON",
		`{"QueueUrl":"` + "\xff" + `"}`:      "The request is not JSON",
		`[]`:                                 "Start of list found where not expected.",
	} {
		err := Decode([]byte(body), &SendMessageBatch{})
		if err == nil || !strings.HasPrefix(err.Message, want) || err.Status != 400 || err.Shape != "SerializationException" {
			t.Errorf("%s: %v, want %s", body, err, want)
		}
	}
	var r SendMessageBatch
	if err := Decode([]byte(`{"QueueUrl":"u","Unknown":{"a":[1]},"Entries":[{"Id":"a","DelaySeconds":null}]}`), &r); err != nil || r.QueueUrl != "u" || len(r.Entries) != 1 {
		t.Errorf("unknown and null members: %v, %+v", err, r)
	}
}

// FuzzRequest decodes anything as a batch, and what is taken is encoded as an
// answer that must be JSON and hold the same.
func FuzzRequest(f *testing.F) {
	f.Add([]byte(`{"QueueUrl":"u","Entries":[{"Id":"a","MessageBody":"b \"é\" \\ \n","MessageAttributes":{"n":{"DataType":"Binary.x","BinaryValue":"AP8="}}}]}`))
	f.Add([]byte(`{"Entries":[{"MessageBody":"\ud83d\ude00","MessageSystemAttributes":{"AWSTraceHeader":{"DataType":"String","StringValue":"t"}}}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		var r SendMessageBatch
		if Decode(body, &r) != nil {
			return
		}
		for i := range r.Entries {
			content, err := r.Entries[i].Content("sender", "")
			if err != nil {
				if !json.Valid(AppendError(nil, err)) {
					t.Fatalf("the refusal is not JSON: %s", AppendError(nil, err))
				}
				continue
			}
			checkAnswer(t, content)
		}
	})
}

type noReceipts struct{}

func (noReceipts) AppendReceipt(b []byte, _ *engine.Received) []byte { return append(b, 'r') }

func (noReceipts) OriginARN(*engine.Key) string { return "arn" }

func checkAnswer(t *testing.T, c *engine.Content) {
	selection, err := (&ReceiveMessage{AttributeNames: []string{"All"}, MessageAttributeNames: []string{"All"}}).Selection()
	if err != nil {
		t.Fatal(err)
	}
	answer := AppendMessages(nil, []engine.Received{{Content: c, Group: "g", Origin: &engine.Key{}}}, &selection, noReceipts{})
	var back struct {
		Messages []struct {
			Body              string
			MessageAttributes map[string]struct {
				DataType, StringValue string
				BinaryValue           []byte
			}
		}
	}
	if err := json.Unmarshal(answer, &back); err != nil || !utf8.Valid(answer) {
		t.Fatalf("the answer is not JSON: %v: %q", err, answer)
	}
	if got := back.Messages[0]; got.Body != c.Body || len(got.MessageAttributes) != len(c.Attrs) {
		t.Fatalf("the answer holds %q and %d attributes, want %q and %d", got.Body, len(got.MessageAttributes), c.Body, len(c.Attrs))
	}
	for _, a := range c.Attrs {
		got := back.Messages[0].MessageAttributes[a.Name]
		if value := got.StringValue + string(got.BinaryValue); value != a.String || got.DataType != a.Type {
			t.Fatalf("attribute %s came back as %s %q, want %s %q", a.Name, got.DataType, value, a.Type, a.String)
		}
	}
}
