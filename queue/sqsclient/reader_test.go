package sqsclient

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// answers are such as services give, and such as none should.
var answers = []string{
	``, ` `, `{}`, `{"Messages":[]}`, ` { "Messages" : [ ] } `, `{"Messages":null}`, `{"messages":[]}`, `[]`, `{"Messages":[{}]}`,
	`{"Messages":[{"MessageId":"a","ReceiptHandle":"b","MD5OfBody":"c","Body":"d"}]}`,
	`{"Messages":[{"Body":"a \"quoted\" \\ \/ \b\f\n\r\t \u00e9 \ud83d\ude00 é 😀","MessageId":""},{"Body":"x"}]}`,
	`{"Messages":[{"Body":"\ud83d"}]}`, `{"Messages":[{"Body":"\ud83d\u0041"}]}`, `{"Messages":[{"Body":"\ude00"}]}`, `{"Messages":[{"Body":"\uFFFD\uZZZZ"}]}`,
	"{\"Messages\":[{\"Body\":\"\xff\"}]}", "{\"Messages\":[{\"Body\":\"a\x01b\"}]}", `{"Messages":[{"Body":"\q"}]}`, `{"Messages":[{"Body":"a}]}`,
	`{"Messages":[{"Body":"a"},]}`, `{"Messages":[{"Body":"a"}]} x`, `{"Messages":[{"Body":"a"}],"More":1}`, `{"Messages":[{"Body":"a"}],"Messages":[]}`,
	`{"Messages":[{"Body":null}]}`, `{"Messages":[{"Body":7}]}`, `{"Messages":[null]}`, `{"Messages":[{"Body":"a","Body":"b"}]}`, `{"Messages":[{"New":"a"}]}`,
	`{"Messages":[{"Attributes":{"ApproximateReceiveCount":"1","SentTimestamp":"1795458243000"},"MessageAttributes":{}}]}`,
	`{"Messages":[{"Attributes":{"a":"1"},"Attributes":{"b":"2"}}]}`, `{"Messages":[{"Attributes":{"a":"1","a":"2"}}]}`, `{"Messages":[{"Attributes":{"a":null}}]}`,
	`{"Messages":[{"MD5OfMessageAttributes":"e","MessageAttributes":{"task_name":{"StringValue":"noop","DataType":"String"},"n":{"DataType":"Number","StringValue":"1"}}}]}`,
	`{"Messages":[{"MessageAttributes":{"b":{"BinaryValue":"AQID","DataType":"Binary"}}}]}`, `{"Messages":[{"MessageAttributes":{"b":{}}}]}`,
	`{"Messages":[{"MessageAttributes":{"b":{"DataType":"String","StringListValues":[]}}}]}`, `{"Messages":[{"Bod\u0079":"a"}]}`,
	`{"Successful":[{"Id":"0"},{"Id":"1"}]}`, `{"Successful":[{"Id":"0"}],"Failed":[]}`, `{"Failed":[],"Successful":[{"Id":"\u0030"}]}`, `{"Successful":[]}`, `{"Successful":[{"Id":"0","More":1}]}`,
	`{"Failed":[{"Id":"0","Code":"X","Message":"y","SenderFault":true}],"Successful":[{"Id":"1"}]}`, `{"Successful":[{"Id":"0"}],"Successful":[{"Id":"1"}]}`, `{"Successful":[{"Id":null}]}`,
	`{"Successful":[{"Id":"0","MessageId":"m","MD5OfMessageBody":"a","MD5OfMessageAttributes":"b","MD5OfMessageSystemAttributes":"c","SequenceNumber":"1"},{"MessageId":"n"}]}`,
	`{"Successful":[{"Id":"0","Id":"1","MessageId":"m"}]}`, `{"Successful":[{"Id":"0","MessageId":null}]}`, `{"Successful":[{"MessageId":7}]}`,
	`{"Failed":[],"Successful":[{"MessageId":"m \u00e9","Id":"0"}]}`,
	`{"Successful":[{"Id":"0"},{"Id":"1"},{"Id":"2"},{"Id":"3"},{"Id":"4"},{"Id":"5"},{"Id":"6"},{"Id":"7"},{"Id":"8"},{"Id":"9"},{"Id":"10"}]}`,
}

// recorded counts the bytes that are read and tells whether the body is
// still the one that the SDK is to close.
type recorded struct{ io.Reader }

func (recorded) Close() error { return nil }

func read(t testing.TB, p smithyhttp.ClientProtocol, status int, answer string, out smithy.Deserializable) error {
	t.Helper()
	body := &recorded{strings.NewReader(answer)}
	resp := &smithyhttp.Response{Response: &http.Response{StatusCode: status, Header: http.Header{}, Body: body, ContentLength: int64(len(answer))}}
	err := p.DeserializeResponse(context.Background(), &smithy.OperationSchema{Output: &smithy.Schema{}}, sqs.TypeRegistry, resp, out)
	if resp.Body != body {
		t.Error("the body is another: the SDK would not close the connection's")
	}
	return err
}

func protocols() (ours, theirs smithyhttp.ClientProtocol) {
	o := sqs.New(sqs.Options{Region: "x"}).Options()
	theirs = o.Protocol
	withShortWay(&o)
	return o.Protocol, theirs
}

// same checks that an answer means the same to us and to the SDK.
func same(t *testing.T, ours, theirs smithyhttp.ClientProtocol, status int, answer string) {
	t.Helper()
	for _, outs := range [][2]smithy.Deserializable{
		{new(sqs.ReceiveMessageOutput), new(sqs.ReceiveMessageOutput)}, {new(sqs.DeleteMessageBatchOutput), new(sqs.DeleteMessageBatchOutput)},
		{new(sqs.SendMessageBatchOutput), new(sqs.SendMessageBatchOutput)},
	} {
		errOurs, errTheirs := read(t, ours, status, answer, outs[0]), read(t, theirs, status, answer, outs[1])
		if (errOurs == nil) != (errTheirs == nil) || errOurs != nil && errOurs.Error() != errTheirs.Error() {
			t.Errorf("%d %q: error %v, the SDK's is %v", status, answer, errOurs, errTheirs)
		}
		if !reflect.DeepEqual(outs[0], outs[1]) {
			t.Errorf("%d %q: read as\n%+v, by the SDK as\n%+v", status, answer, outs[0], outs[1])
		}
	}
}

// samePlain checks that an answer means the same to a worker, whether it is read past the
// SDK's types or not. It returns the number of messages that were.
func samePlain(t *testing.T, ours, theirs smithyhttp.ClientProtocol, answer string) (plain int) {
	t.Helper()
	var got []Message
	out, sdk := &received{take: func(list []Message) { got = slices.Clone(list) }}, new(sqs.ReceiveMessageOutput)
	errOurs, errTheirs := read(t, ours, http.StatusOK, answer, out), read(t, theirs, http.StatusOK, answer, sdk)
	if (errOurs == nil) != (errTheirs == nil) {
		t.Errorf("%q: error %v, the SDK's is %v", answer, errOurs, errTheirs)
	}
	if !out.taken || errOurs != nil {
		return 0
	}
	want := plainMessages(sdk.Messages)
	for i := range got {
		if len(got[i].Texts) > 0 {
			got[i].Attributes = map[string]types.MessageAttributeValue{}
		}
		for _, a := range got[i].Texts {
			got[i].Attributes[a.Name] = types.MessageAttributeValue{DataType: &a.Type, StringValue: &a.Value}
		}
		got[i].Texts = nil
		if len(want) > i && len(want[i].Attributes) == 0 {
			want[i].Attributes = nil
		}
	}
	if len(got) != len(want) || len(got) > 0 && !reflect.DeepEqual(got, want) {
		t.Errorf("%q: read as\n%+v, by the SDK as\n%+v", answer, got, want)
	}
	return len(got)
}

func TestAnswersMeanTheSameToAWorker(t *testing.T) {
	ours, theirs := protocols()
	for _, answer := range answers {
		samePlain(t, ours, theirs, answer)
	}
	usual := `{"MessageId":"m","ReceiptHandle":"h","MD5OfBody":"5d41402abc4b2a76b9719d911017c592","Body":"a \"b\" é","Attributes":{` +
		`"SenderId":"x","SentTimestamp":"1795458243000","ApproximateReceiveCount":"2","ApproximateFirstReceiveTimestamp":"1795458243001",` +
		`"MessageGroupId":"g","AWSTraceHeader":"Root=1"},"MD5OfMessageAttributes":"e","MessageAttributes":{` +
		`"n":{"DataType":"Number","StringValue":"1"},"task_name":{"StringValue":"noop","DataType":"String"}}}`
	if n := samePlain(t, ours, theirs, `{"Messages":[`+usual+`,`+usual+`,{"Body":"x"}]}`); n != 3 {
		t.Errorf("%d messages took the short way, want 3", n)
	}
}

func TestAnswersMeanWhatTheSDKReads(t *testing.T) {
	ours, theirs := protocols()
	for _, answer := range answers {
		same(t, ours, theirs, http.StatusOK, answer)
		same(t, ours, theirs, http.StatusBadRequest, answer)
	}
	same(t, ours, theirs, http.StatusBadRequest, `{"__type":"com.amazonaws.sqs#QueueDoesNotExist","message":"none"}`)
}

func FuzzAnswersMeanWhatTheSDKReads(f *testing.F) {
	for _, answer := range answers {
		f.Add(answer)
	}
	ours, theirs := protocols()
	f.Fuzz(func(t *testing.T, answer string) {
		same(t, ours, theirs, http.StatusOK, answer)
		samePlain(t, ours, theirs, answer)
	})
}

// The short way is taken at all, and keeps no memory of other messages.
func TestUsualAnswersTakeTheShortWay(t *testing.T) {
	r := &reader{answer: []byte(`{"Messages":[{"Body":"a \"quoted\" \u00e9 \ud83d\ude00 é"},{"Body":"x"}]}`)}
	list, ok := r.messages()
	if !ok || len(list) != 2 || *list[0].Body != "a \"quoted\" é 😀 é" {
		t.Fatal(ok, list)
	}
	clear(r.answer)
	clear(r.text)
	if *list[1].Body != "x" {
		t.Fatal("a message shares the reader's memory")
	}
	r = &reader{answer: []byte(`{"Failed":[],"Successful":[{"Id":"0"}]}`)}
	if !r.deleted(new(sqs.DeleteMessageBatchOutput)) {
		t.Fatal("a batch of deletes went the long way")
	}
	r = &reader{answer: []byte(`{"Failed":[],"Successful":[{"Id":"0","MessageId":"m","MD5OfMessageBody":"a"}]}`)}
	if out := new(sqs.SendMessageBatchOutput); !r.sent(out) || *out.Successful[0].MessageId != "m" {
		t.Fatal("a batch of sends went the long way")
	}
}

func TestAnAnswerThatBreaksOffIsAnError(t *testing.T) {
	ours, _ := protocols()
	broken := errors.New("connection reset")
	resp := &smithyhttp.Response{Response: &http.Response{StatusCode: http.StatusOK, ContentLength: -1,
		Body: io.NopCloser(io.MultiReader(bytes.NewReader([]byte(`{"Messages":[`)), failing{broken}))}}
	err := ours.DeserializeResponse(t.Context(), &smithy.OperationSchema{}, sqs.TypeRegistry, resp, new(sqs.ReceiveMessageOutput))
	var wrong *smithy.DeserializationError
	if !errors.Is(err, broken) || !errors.As(err, &wrong) {
		t.Fatal(err)
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }
