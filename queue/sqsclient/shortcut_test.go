package sqsclient_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"reflect"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/sambatech/chassis/queue/sqsclient"
)

// hot are the calls that take the shortcut once a client has made a request.
var hot = map[string]func(context.Context, *sqs.Client) error{
	"ReceiveMessage": func(ctx context.Context, c *sqs.Client) error {
		_, err := c.ReceiveMessage(sqsclient.WithShortcut(ctx), receiveInput())
		return err
	},
	"DeleteMessageBatch": func(ctx context.Context, c *sqs.Client) error {
		_, err := c.DeleteMessageBatch(sqsclient.WithShortcut(ctx), deleteInput())
		return err
	},
	"SendMessageBatch": func(ctx context.Context, c *sqs.Client) error {
		_, err := sqsclient.SendBatchOf(c)(ctx, sendInput())
		return err
	},
}

// receiveInput, deleteInput and sendInput have every member filled, so that one that is
// new to the SDK fails here.
func receiveInput() *sqs.ReceiveMessageInput {
	in := new(sqs.ReceiveMessageInput)
	fillAll(reflect.ValueOf(in).Elem(), "AttributeNames")
	return in
}

func deleteInput() *sqs.DeleteMessageBatchInput {
	in := new(sqs.DeleteMessageBatchInput)
	fillAll(reflect.ValueOf(in).Elem())
	return in
}

// sendInput leaves out what goes the SDK's way.
func sendInput() *sqs.SendMessageBatchInput {
	in := new(sqs.SendMessageBatchInput)
	fillAll(reflect.ValueOf(in).Elem(), "MessageSystemAttributes", "BinaryValue", "BinaryListValues", "StringListValues")
	return in
}

func fillAll(v reflect.Value, but ...string) {
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fillAll(v.Elem(), but...)
	case reflect.String:
		v.SetString("a \"b\" \\ é <&>\u2028\x7f")
	case reflect.Int32:
		v.SetInt(7)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		fillAll(v.Index(0), but...)
		fillAll(v.Index(1), but...)
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		for _, name := range []string{"a", "b é"} {
			value := reflect.New(v.Type().Elem()).Elem()
			fillAll(value, but...)
			v.SetMapIndex(reflect.ValueOf(name), value)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.IsExported() && !strings.Contains(strings.Join(but, " "), f.Name) {
				fillAll(v.Field(i), but...)
			}
		}
	}
}

type seen struct {
	*http.Request
	body any
}

func watch(requests *[]seen, answer func(n int) (int, string)) sqsclient.Option {
	return sqsclient.WithHTTPClient(doerFunc(func(r *http.Request) (*http.Response, error) {
		data, err := io.ReadAll(r.Body)
		if err != nil || int64(len(data)) != r.ContentLength {
			return nil, errors.Join(err, errors.New("the body is not as long as was said"))
		}
		s := seen{Request: r}
		if err := json.Unmarshal(data, &s.body); err != nil {
			return nil, err
		}
		*requests = append(*requests, s)
		status, text := answer(len(*requests))
		return &http.Response{StatusCode: status, Header: http.Header{"X-Amzn-Requestid": {"id"}}, Body: io.NopCloser(strings.NewReader(text)), ContentLength: int64(len(text))}, nil
	}))
}

var varying = regexp.MustCompile(`Signature=[0-9a-f]+`)

// What the shortcut sends is what the SDK sends, but for what is of one request.
func TestTheShortcutSendsWhatTheSDKSends(t *testing.T) {
	for name, call := range hot {
		for _, signed := range []bool{false, true} {
			var requests []seen
			opts := []sqsclient.Option{watch(&requests, func(int) (int, string) { return 200, `{}` })}
			if signed {
				opts = append(opts, keys)
			}
			client := newClient(t, sqsclient.Settings{}, opts...)
			for range 2 {
				if err := call(t.Context(), client); err != nil {
					t.Fatal(err)
				}
			}
			theirs, ours := requests[0], requests[1]
			if !reflect.DeepEqual(ours.body, theirs.body) {
				t.Errorf("%s: body %v, the SDK's is %v", name, ours.body, theirs.body)
			}
			if ours.URL.String() != theirs.URL.String() || ours.Host != theirs.Host || ours.Method != theirs.Method {
				t.Errorf("%s: %s %s at %s, the SDK's is %s %s at %s", name, ours.Method, ours.URL, ours.Host, theirs.Method, theirs.URL, theirs.Host)
			}
			for _, h := range []http.Header{ours.Header, theirs.Header} {
				if id := h.Get("Amz-Sdk-Invocation-Id"); len(id) != 36 {
					t.Errorf("%s: invocation id %q", name, id)
				}
				h.Del("Amz-Sdk-Invocation-Id")
				h.Del("X-Amz-Date")
				h.Del("Content-Length")
				for i := range h["Authorization"] {
					h["Authorization"][i] = varying.ReplaceAllString(h["Authorization"][i], "")
				}
			}
			if !reflect.DeepEqual(ours.Header, theirs.Header) {
				t.Errorf("%s: headers\n%v, the SDK's are\n%v", name, ours.Header, theirs.Header)
			}
			if signed != (ours.Header.Get("Authorization") != "") {
				t.Errorf("%s: signed %v", name, ours.Header.Get("Authorization"))
			}
		}
	}
}

// viaSDK makes a client whose requests all go the SDK's way.
func viaSDK(t *testing.T, s sqsclient.Settings, opts ...sqsclient.Option) *sqs.Client {
	return newClient(t, s, append(opts, sqsclient.WithOptions(func(*sqs.Options) {}))...)
}

// A failure looks the same on both ways, and is tried again as often.
func TestTheShortcutFailsAsTheSDKDoes(t *testing.T) {
	for name, call := range hot {
		for _, tc := range []struct {
			status int
			answer string
			tries  int
		}{
			{503, `{"__type":"ServiceUnavailable"}`, 3},
			{500, `not JSON`, 3},
			{400, `{"__type":"com.amazonaws.sqs#QueueDoesNotExist","message":"none"}`, 1},
			{400, `{"__type":"ThrottlingException","message":"slowly"}`, 3},
			{403, `{"__type":"AccessDeniedException","message":"no"}`, 1},
			{200, `{"Messages":[`, 1}, {200, `{"Successful":{}}`, 1},
		} {
			var errs [2]error
			var tries [2]int
			for i, make := range []func(*testing.T, sqsclient.Settings, ...sqsclient.Option) *sqs.Client{newClient, viaSDK} {
				var requests []seen
				client := make(t, sqsclient.Settings{MaxBackoff: 1}, watch(&requests, func(n int) (int, string) {
					if n == 1 {
						return 200, `{}`
					}
					return tc.status, tc.answer
				}))
				if err := call(t.Context(), client); err != nil {
					t.Fatal(err)
				}
				errs[i] = call(t.Context(), client)
				tries[i] = len(requests) - 1
			}
			if tc.status == 403 {
				tries[0]-- // the shortcut's own, before the SDK's
			}
			if tries[0] != tc.tries && errs[1] != nil || tries[0] != tries[1] {
				t.Errorf("%s, %d %s: %d tries, the SDK makes %d", name, tc.status, tc.answer, tries[0], tries[1])
			}
			if (errs[0] == nil) != (errs[1] == nil) || errs[0] != nil && errs[0].Error() != errs[1].Error() {
				t.Errorf("%s, %d %s: %v\nthe SDK's error is %v", name, tc.status, tc.answer, errs[0], errs[1])
			}
			for _, as := range []func(error) bool{is[*smithy.OperationError], is[smithy.APIError], is[*smithyhttp.ResponseError], is[*types.QueueDoesNotExist], is[*retry.MaxAttemptsError]} {
				if as(errs[0]) != as(errs[1]) {
					t.Errorf("%s, %d %s: %#v is not of the SDK's types", name, tc.status, tc.answer, errs[0])
				}
			}
		}
	}
}

func is[E error](err error) bool {
	var e E
	return errors.As(err, &e)
}

func TestTriesOfTheShortcutAreOneInvocation(t *testing.T) {
	var requests []seen
	client := newClient(t, sqsclient.Settings{MaxBackoff: 1}, watch(&requests, func(n int) (int, string) {
		if n == 2 || n == 3 {
			return 503, ``
		}
		return 200, `{}`
	}))
	for range 2 {
		if err := hot["ReceiveMessage"](t.Context(), client); err != nil {
			t.Fatal(err)
		}
	}
	for i, want := range []string{"attempt=1; max=3", "attempt=2; max=3", "attempt=3; max=3"} {
		h := requests[i+1].Header
		if h.Get("Amz-Sdk-Request") != want || h.Get("Amz-Sdk-Invocation-Id") != requests[1].Header.Get("Amz-Sdk-Invocation-Id") {
			t.Errorf("try %d: %v", i+1, h)
		}
	}
}

func TestTheShortcutHeedsItsContext(t *testing.T) {
	var calls atomic.Int32
	ctx, cancel := context.WithCancel(t.Context())
	client := newClient(t, sqsclient.Settings{}, sqsclient.WithHTTPClient(doerFunc(func(r *http.Request) (*http.Response, error) {
		if calls.Add(1) > 1 {
			cancel()
			return nil, r.Context().Err()
		}
		return &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(`{}`))}, nil
	})))
	for range 2 {
		_, err := client.ReceiveMessage(sqsclient.WithShortcut(ctx), &sqs.ReceiveMessageInput{QueueUrl: aws.String("q")})
		if calls.Load() == 2 && !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
	}
	if calls.Load() != 2 {
		t.Fatal(calls.Load(), "requests: a cancelled one is made again")
	}
}

// What the SDK checks before it sends is checked on the shortcut too.
func TestTheShortcutChecksItsInput(t *testing.T) {
	var requests []seen
	client := newClient(t, sqsclient.Settings{}, watch(&requests, func(int) (int, string) { return 200, `{}` }))
	if err := sqsclient.Check(sqsclient.WithShortcut(t.Context()), client); err != nil {
		t.Fatal(err)
	}
	if _, err := client.ReceiveMessage(sqsclient.WithShortcut(t.Context()), &sqs.ReceiveMessageInput{}); err == nil || len(requests) != 1 {
		t.Fatal(err, "a receive from no queue was sent")
	}
}

// Text that is no UTF-8 goes the SDK's way, whatever that makes of it.
func TestWhatTheShortcutCannotWriteTheSDKDoes(t *testing.T) {
	var requests []seen
	client := newClient(t, sqsclient.Settings{}, watch(&requests, func(int) (int, string) { return 200, `{}` }))
	for range 2 {
		_, _ = client.DeleteMessageBatch(sqsclient.WithShortcut(t.Context()), &sqs.DeleteMessageBatchInput{QueueUrl: aws.String("q"),
			Entries: []types.DeleteMessageBatchRequestEntry{{Id: aws.String("1"), ReceiptHandle: aws.String("\xff")}}})
	}
	if len(requests) != 2 || !reflect.DeepEqual(requests[0].body, requests[1].body) {
		t.Fatal(requests)
	}
}

// An option of a single call shows which way it went: the shortcut does not
// heed it.
func TestTheShortcutIsForThoseWhoAskAndEndsWithARefusal(t *testing.T) {
	var requests []seen
	status := 200
	client := newClient(t, sqsclient.Settings{}, watch(&requests, func(int) (int, string) { return status, `{}` }))
	viaSDK := func(ctx context.Context) bool {
		t.Helper()
		_, err := client.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: aws.String("q")},
			sqs.WithAPIOptions(smithyhttp.AddHeaderValue("X-Option", "of this call")))
		if (err == nil) != (status == 200) {
			t.Fatal(err)
		}
		return requests[len(requests)-1].Header.Get("X-Option") != ""
	}
	asked := sqsclient.WithShortcut(t.Context())
	if !viaSDK(t.Context()) {
		t.Error("the shortcut was taken without being asked for")
	}
	if err := hot["ReceiveMessage"](t.Context(), client); err != nil { // what the others are made like
		t.Fatal(err)
	}
	if viaSDK(asked) {
		t.Error("the shortcut was asked for and not taken")
	}
	if !viaSDK(t.Context()) {
		t.Error("the shortcut was taken without being asked for")
	}
	status = 403
	if viaSDK(asked); len(requests) != 6 {
		t.Errorf("%d requests: a refused one is made again by the SDK", len(requests))
	}
	if viaSDK(asked); len(requests) != 7 {
		t.Errorf("%d requests: while there are refusals the SDK makes them alone", len(requests))
	}
	status = 200
	if !viaSDK(asked) || len(requests) != 8 {
		t.Error("the shortcut is taken although its latest request was refused")
	}
	if viaSDK(asked) {
		t.Error("the shortcut is not taken again after a success")
	}
	if got, want := sqsclient.StatsOf(client), (sqsclient.Stats{Shortcut: 3, Refused: 1, SDK: 4}); got != want {
		t.Errorf("the counts are %+v, want %+v", got, want)
	}
}

// A receive is answered 403 once, as while a credential is rotated: the ones
// after it cost as little as those before.
func TestOneRefusalDoesNotMakeEveryReceiveDear(t *testing.T) {
	status, answer := 200, `{}`
	client := newClient(t, sqsclient.Settings{Region: "eu-west-1", Endpoint: "http://sqs.internal"}, keys,
		sqsclient.WithHTTPClient(doerFunc(func(r *http.Request) (*http.Response, error) {
			_, _ = io.Copy(io.Discard, r.Body)
			s, b := status, answer
			status, answer = 200, `{}`
			return &http.Response{StatusCode: s, Header: http.Header{"X-Amzn-Requestid": {"id"}}, Body: io.NopCloser(strings.NewReader(b)), ContentLength: int64(len(b)), Request: r}, nil
		})))
	ctx := sqsclient.WithShortcut(t.Context())
	in := &sqs.ReceiveMessageInput{QueueUrl: aws.String("http://sqs.internal/1/q"), MaxNumberOfMessages: 10}
	receive := func() {
		if _, err := client.ReceiveMessage(ctx, in); err != nil {
			t.Fatal(err)
		}
	}
	cost := func() float64 { return testing.AllocsPerRun(200, receive) }
	receive()
	before := cost()
	status, answer = 403, `{"__type":"com.amazon.coral.service#ExpiredTokenException","message":"expired"}`
	receive() // the SDK's request after the refused one is answered well
	if after := cost(); after > 1.05*before {
		t.Errorf("a receive took %.0f allocations, and after one 403 takes %.0f", before, after)
	}
}

// The machine's clock is an hour behind the service's. The SDK finds out from
// the refusal; the shortcut signs with the same time and is not refused again.
func TestTheShortcutAllowsForAWrongClockAsTheSDKDoes(t *testing.T) {
	const behind = time.Hour
	var refused, well int
	client := newClient(t, sqsclient.Settings{Region: "eu-west-1", Endpoint: "http://sqs.internal", MaxBackoff: 1}, keys,
		sqsclient.WithHTTPClient(doerFunc(func(r *http.Request) (*http.Response, error) {
			_, _ = io.Copy(io.Discard, r.Body)
			now := time.Now().Add(behind)
			header := http.Header{"X-Amzn-Requestid": {"id"}, "Date": {now.UTC().Format(http.TimeFormat)}}
			status, answer := 200, `{}`
			if at, err := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date")); err != nil || now.Sub(at).Abs() > 5*time.Minute {
				refused++
				status, answer = 403, `{"__type":"com.amazon.coral.service#InvalidSignatureException","message":"Signature expired"}`
			} else {
				well++
			}
			return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(strings.NewReader(answer)), ContentLength: int64(len(answer)), Request: r}, nil
		})))
	for range 20 {
		if _, err := client.ReceiveMessage(sqsclient.WithShortcut(t.Context()), &sqs.ReceiveMessageInput{QueueUrl: aws.String("http://sqs.internal/1/q")}); err != nil {
			t.Fatal(err)
		}
	}
	if stats := sqsclient.StatsOf(client); well != 20 || refused > 2 || stats.Shortcut < 18 {
		t.Errorf("%d answered well, %d refused; the counts are %+v; want 20, at most 2, and 18 by the shortcut", well, refused, stats)
	}
}
