package localsqs_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/sambatech/chassis/queue/localsqs"
)

const (
	emptySum = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	anyKey   = "AWS4-HMAC-SHA256 Credential=any/20260101/eu-west-1/sqs/aws4_request, SignedHeaders=host, Signature=0"
)

var form = map[string]string{"Content-Type": "application/x-www-form-urlencoded; charset=utf-8", "Authorization": anyKey}

// The road of an SDK of before November 2023, by hand: to the queue's own URL,
// with the parameters in a form, and XML back.
func TestTheQueryProtocol(t *testing.T) {
	srv := newServer(t)
	base := listen(t, srv)
	call := func(path, params string, wantStatus int, wants ...string) string {
		t.Helper()
		status, h, text := post(t, base+path, "", form, params)
		if status != wantStatus || h.Get("Content-Type") != "text/xml" || h.Get("X-Amzn-Requestid") == "" {
			t.Errorf("%s: %d %v %s", params, status, h, text)
		}
		for _, want := range wants {
			if !strings.Contains(text, want) {
				t.Errorf("%s: no %s in %s", params, want, text)
			}
		}
		return text
	}
	call("/", "Action=CreateQueue&QueueName=jobs&Version=2012-11-05", 200, "<QueueUrl>"+base+"/000000000000/jobs</QueueUrl>")
	call("/000000000000/jobs", "Action=SendMessage&MessageBody=caf%C3%A9+%3C1%3E", 200, "<MD5OfMessageBody>")
	if s := srv.Stats().Queues[0]; s.Region != "eu-west-1" || s.Visible != 1 {
		t.Errorf("the queue is %+v, want it in the region of the signature", s)
	}
	text := call("/000000000000/jobs", "Action=ReceiveMessage&AttributeName.1=All", 200, "<Body>café &lt;1&gt;</Body>", "<Name>SenderId</Name><Value>any</Value>")
	_, handle, _ := strings.Cut(text, "<ReceiptHandle>")
	handle, _, _ = strings.Cut(handle, "<")
	call("/", "Action=DeleteMessage&QueueUrl="+url.QueryEscape(base+"/000000000000/jobs")+"&ReceiptHandle="+url.QueryEscape(handle), 200, "<DeleteMessageResponse")
	call("/000000000000/jobs", "Action=ReceiveMessage", 200, "<ReceiveMessageResult></ReceiveMessageResult>")
	call("/000000000000/none", "Action=ReceiveMessage", 400, "<Code>AWS.SimpleQueueService.NonExistentQueue</Code>", "<Type>Sender</Type>")
	call("/000000000000/jobs", "Action=ReceiveMessage&MaxNumberOfMessages=11", 400, "<Code>InvalidParameterValue</Code>")
	call("/000000000000/jobs", "Action=SendMessage", 400, "<Code>MissingParameter</Code>")
	call("/", "Action=Nonsense", 400, "<Code>InvalidAction</Code>")
	call("/", "", 400, "<Code>MissingAction</Code>")
	call("/", "Action=%zz", 400, "<Code>InvalidParameterValue</Code>")
	call("/", "Action=ListQueues&"+strings.Repeat("a=b&", 6000), 400, "<Code>InvalidParameterValue</Code>")
}

// A GET is signed by a header, or by its parameters as a link that is handed on.
func TestSignedGETsOfTheQueryProtocol(t *testing.T) {
	base := listen(t, newServer(t, localsqs.Credentials("id", "secret")))
	for name, sign := range map[string]func(*http.Request, aws.Credentials) error{
		"header": func(r *http.Request, keys aws.Credentials) error {
			return v4.NewSigner().SignHTTP(t.Context(), keys, r, emptySum, "sqs", "us-east-1", time.Now())
		},
		"parameters": func(r *http.Request, keys aws.Credentials) error {
			signed, _, err := v4.NewSigner().PresignHTTP(t.Context(), keys, r, emptySum, "sqs", "us-east-1", time.Now())
			if err == nil {
				r.URL, err = url.Parse(signed)
			}
			return err
		},
	} {
		for _, c := range []struct {
			secret string
			change func(*http.Request)
			want   int
		}{
			{"secret", func(*http.Request) {}, 200},
			{"wrong", func(*http.Request) {}, 403},
			{"secret", func(r *http.Request) { r.URL.RawQuery = strings.Replace(r.URL.RawQuery, "one", "two", 1) }, 403},
			{"secret", func(r *http.Request) { r.URL.Path = "/other" }, 403},
		} {
			r := probe(t, base+"/?Action=CreateQueue&QueueName=one&Version=2012-11-05")
			if err := sign(r, aws.Credentials{AccessKeyID: "id", SecretAccessKey: c.secret}); err != nil {
				t.Fatal(err)
			}
			c.change(r)
			status, _, text := do(t, r)
			if status != c.want || !strings.HasPrefix(text, "<?xml") {
				t.Errorf("%s, %s: %d %s, want %d", name, r.URL, status, text, c.want)
			}
		}
	}
}

// A form and a link need no preflight: a page in a browser can send them to a
// server on the developer's machine.
func TestHostilePagesCannotUseTheQueryProtocol(t *testing.T) {
	srv := newServer(t)
	base := listen(t, srv)
	client := newClient(srv)
	queue := createQueue(t, client, "jobs", nil)
	send(t, client, queue, "x")
	purge := "Action=PurgeQueue&QueueUrl=jobs"
	for name, header := range map[string]map[string]string{
		"a form":                  {"Content-Type": form["Content-Type"]},
		"a form with some header": {"Content-Type": form["Content-Type"], "Authorization": "Basic eDp5"},
		"a script":                {"Content-Type": form["Content-Type"], "Authorization": anyKey, "Origin": "https://attacker.example"},
	} {
		if status, h, text := post(t, base, "", header, purge); status != 403 || h.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: %d %s", name, status, text)
		}
	}
	link := base + "/?" + purge + "&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=a/b/us-east-1/sqs/aws4_request&X-Amz-Signature=0&X-Amz-SignedHeaders=host&X-Amz-Date=20260101T000000Z"
	if status, _, text := do(t, probe(t, link)); status != 403 {
		t.Errorf("a link: %d %s", status, text)
	}
	if s := srv.Stats().Queues[0]; s.Visible != 1 {
		t.Errorf("the queue was purged: %+v", s)
	}
}
