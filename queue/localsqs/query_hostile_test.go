package localsqs_test

import (
	"bytes"
	"crypto/md5" //nolint:gosec // SQS's checksum
	"encoding/hex"
	"encoding/xml"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/sambatech/chassis/queue/localsqs"
)

// ourKey is of the region of newClient.
var ourKey = strings.Replace(anyKey, "eu-west-1", "us-east-1", 1)

// queryAnswer has the members that the tests below look at.
type queryAnswer struct {
	Code     string `xml:"Error>Code"`
	URL      string `xml:"CreateQueueResult>QueueUrl"`
	MD5      string `xml:"SendMessageResult>MD5OfMessageBody"`
	MD5Attrs string `xml:"SendMessageResult>MD5OfMessageAttributes"`
	Sequence string `xml:"SendMessageResult>SequenceNumber"`
	Messages []struct {
		Body, MessageId string
		Names           []string `xml:"MessageAttribute>Name"`
	} `xml:"ReceiveMessageResult>Message"`
	Sent []struct {
		Id string
	} `xml:"SendMessageBatchResult>SendMessageBatchResultEntry"`
	Failed []struct {
		Id, Code string
	} `xml:"SendMessageBatchResult>BatchResultErrorEntry"`
}

// asks posts a form and reads the XML.
func asks(t *testing.T, base string, form url.Values) (int, queryAnswer) {
	t.Helper()
	header := map[string]string{"Content-Type": "application/x-www-form-urlencoded", "Authorization": ourKey}
	status, _, text := post(t, base, "", header, form.Encode())
	var a queryAnswer
	if err := xml.Unmarshal([]byte(text), &a); err != nil {
		t.Errorf("%v: %s is not XML: %v", form, text, err)
	}
	return status, a
}

// Texts that were lost or changed on their way through other servers' XML: the
// checksums are of what was sent, and it is received as it was.
func TestTextsOnTheQueryProtocol(t *testing.T) {
	base := listen(t, newServer(t))
	_, made := asks(t, base, url.Values{"Action": {"CreateQueue"}, "QueueName": {"jobs"}})
	for _, body := range []string{"a\rb", "a\r\nb\n", "\t", " ", "<a>&amp;</a>", `{"k":"Toolbox – “reset”"}`, "Z̡͊͠͝LGΌ", "😀",
		"100% +1 a=b&c=d;e", "]]>", "&#xD;", "&quot;", "\ufffd", strings.Repeat("é", 1<<19)} {
		status, sent := asks(t, base, url.Values{"Action": {"SendMessage"}, "QueueUrl": {made.URL}, "MessageBody": {body}})
		_, got := asks(t, base, url.Values{"Action": {"ReceiveMessage"}, "QueueUrl": {made.URL}, "VisibilityTimeout": {"3600"}})
		if status != 200 || len(got.Messages) != 1 || got.Messages[0].Body != body || sent.MD5 != md5Of(body) {
			t.Errorf("%.40q: %d %s, received %.99v", body, status, sent.MD5, got.Messages)
		}
	}
	for _, body := range []string{"\x00", "\x0b", "\x1b[31m", "\ufffe"} {
		if status, a := asks(t, base, url.Values{"Action": {"SendMessage"}, "QueueUrl": {made.URL}, "MessageBody": {body}}); status != 400 || a.Code != "InvalidMessageContents" {
			t.Errorf("%q: %d %s", body, status, a.Code)
		}
	}
	for _, name := range []string{"\x00", "a<b>", "q\r\n", strings.Repeat("q", 5000), "../x", "é"} { // named in the answer
		if status, a := asks(t, base, url.Values{"Action": {"CreateQueue"}, "QueueName": {name}}); status != 400 || a.Code != "InvalidParameterValue" {
			t.Errorf("the name %q: %d %s", name, status, a.Code)
		}
	}
}

// Both protocols name the same checksum of the same attributes.
func TestChecksumsOfAttributesOnTheQueryProtocol(t *testing.T) {
	srv := newServer(t)
	base, client := listen(t, srv), newClient(srv)
	queue := createQueue(t, client, "jobs", nil)
	form := url.Values{"Action": {"SendMessage"}, "QueueUrl": {*queue}, "MessageBody": {"x"},
		"MessageAttribute.1.Name": {"z"}, "MessageAttribute.1.Value.DataType": {"Number.int"}, "MessageAttribute.1.Value.StringValue": {"3"},
		"MessageAttribute.3.Name": {"a"}, "MessageAttribute.3.Value.DataType": {"Binary"}, "MessageAttribute.3.Value.BinaryValue": {"+/8A"},
		"MessageAttribute.11.Name": {"E"}, "MessageAttribute.11.Value.DataType": {"String"}, "MessageAttribute.11.Value.StringValue": {"é\r\n😀"},
	}
	_, sent := asks(t, base, form)
	out, err := client.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: queue, MessageBody: aws.String("x"), MessageAttributes: map[string]types.MessageAttributeValue{
		"z": {DataType: aws.String("Number.int"), StringValue: aws.String("3")},
		"a": {DataType: aws.String("Binary"), BinaryValue: []byte{0xfb, 0xff, 0}},
		"E": {DataType: aws.String("String"), StringValue: aws.String("é\r\n😀")},
	}})
	if err != nil || sent.MD5Attrs == "" || sent.MD5Attrs != aws.ToString(out.MD5OfMessageAttributes) {
		t.Errorf("the checksum is %q, of the JSON protocol %v, %v", sent.MD5Attrs, out, err)
	}
	_, got := asks(t, base, url.Values{"Action": {"ReceiveMessage"}, "QueueUrl": {*queue}, "MessageAttributeName.1": {"All"}})
	if len(got.Messages) != 1 || !slices.Equal(got.Messages[0].Names, []string{"E", "a", "z"}) {
		t.Errorf("received %+v", got.Messages)
	}
	form.Set("MessageAttribute.3.Value.BinaryValue", "no base64")
	if status, a := asks(t, base, form); status != 400 {
		t.Errorf("a binary value that is none: %d %s", status, a.Code)
	}
}

func TestFIFOOnTheQueryProtocol(t *testing.T) {
	base := listen(t, newServer(t))
	_, made := asks(t, base, url.Values{"Action": {"CreateQueue"}, "QueueName": {"jobs.fifo"}, "Attribute.1.Name": {"FifoQueue"}, "Attribute.1.Value": {"true"}})
	one := url.Values{"Action": {"SendMessage"}, "QueueUrl": {made.URL}, "MessageBody": {"a"}, "MessageGroupId": {"g"}, "MessageDeduplicationId": {"1"}}
	_, first := asks(t, base, one)
	_, again := asks(t, base, one)
	if first.Sequence == "" || first.Sequence != again.Sequence {
		t.Errorf("sequence numbers %q and %q", first.Sequence, again.Sequence)
	}
	batch := url.Values{"Action": {"SendMessageBatch"}, "QueueUrl": {made.URL}}
	for n, body := range map[string]string{"2": "b", "7": "c", "10": "d"} {
		for name, v := range map[string]string{"Id": "e" + n, "MessageBody": body, "MessageGroupId": "g", "MessageDeduplicationId": body} {
			batch.Set("SendMessageBatchRequestEntry."+n+"."+name, v)
		}
	}
	if status, a := asks(t, base, batch); status != 200 || len(a.Sent) != 3 || len(a.Failed) != 0 {
		t.Errorf("the batch: %d %+v", status, a)
	}
	_, got := asks(t, base, url.Values{"Action": {"ReceiveMessage"}, "QueueUrl": {made.URL}, "MaxNumberOfMessages": {"10"}})
	if len(got.Messages) != 4 || got.Messages[0].Body != "a" || got.Messages[3].Body != "d" {
		t.Errorf("received %+v, want a b c d", got.Messages)
	}
	one.Del("MessageGroupId")
	if status, a := asks(t, base, one); status != 400 || a.Code != "MissingParameter" {
		t.Errorf("without a group: %d %s", status, a.Code)
	}
}

// Requests that no SDK makes.
func TestHostileRequestsOfTheQueryProtocol(t *testing.T) {
	srv := newServer(t)
	base := listen(t, srv)
	createQueue(t, newClient(srv), "jobs", nil)
	list := "Action=ListQueues"
	for name, c := range map[string]struct {
		method, target string
		body           io.Reader
		header         http.Header
		want           int
		has            string
	}{
		"parameters in the URL of a POST": {"POST", "/?" + list, nil, nil, 200, "/jobs</QueueUrl>"},
		"the body before the URL":         {"POST", "/?Action=Nonsense", strings.NewReader(list), http.Header{"Content-Type": {formType}}, 200, "/jobs</QueueUrl>"},
		"a chunked body":                  {"POST", "/", io.MultiReader(strings.NewReader("Action=List"), strings.NewReader("Queues")), http.Header{"Content-Type": {formType}}, 200, "/jobs</QueueUrl>"},
		"two content types":               {"POST", "/", strings.NewReader(list), http.Header{"Content-Type": {formType, "application/x-amz-json-1.0"}}, 200, "/jobs</QueueUrl>"},
		"a form for the JSON protocol":    {"POST", "/", strings.NewReader(list), http.Header{"Content-Type": {formType}, "X-Amz-Target": {"AmazonSQS.ListQueues"}}, 400, "InvalidParameterValue"},
		"parts":                           {"POST", "/", strings.NewReader(list), http.Header{"Content-Type": {"multipart/form-data; boundary=x"}}, 400, "X-Amz-Target"},
		"a HEAD":                          {"HEAD", "/?" + list, nil, nil, 405, ""},
		"a PUT":                           {"PUT", "/?" + list, strings.NewReader(list), http.Header{"Content-Type": {formType}}, 405, "POST"},
		"no action":                       {"POST", "/", strings.NewReader("QueueUrl=jobs"), http.Header{"Content-Type": {formType}}, 400, "<Code>MissingAction<"},
		"an action in small letters":      {"GET", "/?Action=listQueues", nil, nil, 400, "<Code>InvalidAction<"},
		"a form that is too long":         {"POST", "/", strings.NewReader(list + "&QueueNamePrefix=" + strings.Repeat("j", 9<<20)), http.Header{"Content-Type": {formType}}, 413, "<Code>RequestEntityTooLarge<"},
		"a chunked form that is too long": {"POST", "/", io.MultiReader(strings.NewReader(list+"&QueueNamePrefix="), bytes.NewReader(make([]byte, 9<<20))), http.Header{"Content-Type": {formType}}, 413, "<Code>RequestEntityTooLarge<"},
		"a bad escape":                    {"GET", "/?" + list + "&QueueNamePrefix=%", nil, nil, 400, "<Code>InvalidParameterValue<"},
		"a semicolon":                     {"POST", "/", strings.NewReader("Action=SendMessage&QueueUrl=jobs&MessageBody=a;b"), http.Header{"Content-Type": {formType}}, 200, md5Of("a;b")},
		"Latin-1":                         {"POST", "/", strings.NewReader(list + "&QueueNamePrefix=caf%E9"), http.Header{"Content-Type": {formType + "; charset=iso-8859-1"}}, 400, "is not UTF-8"},
		"parts that SQS has no place for": {"GET", "/?Action=ReceiveMessage&QueueUrl=jobs&MessageAttributeNames.member.1=All", nil, nil, 400, "<Code>MalformedInput<"},
		"a batch of a thousand":           {"POST", "/", strings.NewReader(manyEntries(1001)), http.Header{"Content-Type": {formType}}, 400, "<Code>MalformedInput<"},
		"a batch of eleven":               {"POST", "/", strings.NewReader(manyEntries(11)), http.Header{"Content-Type": {formType}}, 400, "<Code>AWS.SimpleQueueService.TooManyEntriesInBatchRequest<"},
	} {
		r, err := http.NewRequestWithContext(t.Context(), c.method, base+c.target, c.body)
		if err != nil {
			t.Fatal(err)
		}
		maps.Copy(r.Header, c.header)
		r.Header.Set("Authorization", ourKey)
		if status, _, text := do(t, r); status != c.want || !strings.Contains(text, c.has) {
			t.Errorf("%s: %d %.400s, want %d with %s", name, status, text, c.want, c.has)
		}
	}
}

// A form of signs that take more room in another notation takes no more memory
// than one of letters.
func TestHostileFormsTakeLittleMemory(t *testing.T) {
	base := listen(t, newServer(t))
	header := map[string]string{"Content-Type": formType, "Authorization": ourKey}
	for _, sign := range []string{"<", ";", "&", "a."} {
		form := "Action=SendMessage&QueueUrl=jobs&MessageBody=" + strings.Repeat(sign, (8<<20-64)/len(sign))
		grown := heapDuring(func() {
			if status, _, text := post(t, base, "", header, form); status/100 != 4 {
				t.Errorf("%q: %d %.200s", sign, status, text)
			}
		})
		if grown > 40<<20 {
			t.Errorf("a form of %q takes %d MiB", sign, grown>>20)
		}
		t.Logf("%q: %d MiB", sign, grown>>20)
	}
}

func md5Of(text string) string {
	sum := md5.Sum([]byte(text)) //nolint:gosec // SQS's checksum
	return hex.EncodeToString(sum[:])
}

const formType = "application/x-www-form-urlencoded"

func manyEntries(n int) string {
	var b strings.Builder
	b.WriteString("Action=DeleteMessageBatch&QueueUrl=jobs")
	for i := range n {
		b.WriteString("&DeleteMessageBatchRequestEntry." + strconv.Itoa(i+1) + ".Id=e" + strconv.Itoa(i))
	}
	return b.String()
}

// A link is valid for as long as it says, and a POST can be such a link.
func TestASignatureAmongTheParametersEnds(t *testing.T) {
	base := listen(t, newServer(t, localsqs.Credentials("id", "secret")))
	for _, c := range []struct {
		method, expires string
		age             time.Duration
		want            int
	}{
		{"GET", "60", 50 * time.Second, 200},
		{"GET", "60", 70 * time.Second, 403},
		{"GET", "604800", 6 * 24 * time.Hour, 200},
		{"GET", "604801", time.Second, 403},
		{"GET", "-1", time.Second, 403},
		{"GET", "", 10 * time.Minute, 200},
		{"GET", "", 20 * time.Minute, 403},
		{"GET", "3600", -20 * time.Minute, 403}, // of a clock that is ahead
		{"POST", "60", 50 * time.Second, 200},
		{"POST", "60", 70 * time.Second, 403},
	} {
		target := base + "/?Action=ListQueues"
		if c.expires != "" {
			target += "&X-Amz-Expires=" + c.expires
		}
		r := probe(t, target)
		r.Method = c.method
		signed, _, err := v4.NewSigner().PresignHTTP(t.Context(), aws.Credentials{AccessKeyID: "id", SecretAccessKey: "secret"}, r, emptySum, "sqs", "us-east-1", time.Now().Add(-c.age))
		if err != nil {
			t.Fatal(err)
		}
		if r.URL, err = url.Parse(signed); err != nil {
			t.Fatal(err)
		}
		status, _, text := do(t, r)
		if status != c.want || status == 403 && !strings.Contains(text, "<Code>SignatureDoesNotMatch<") {
			t.Errorf("a %s valid for %q s, %v old: %d %s, want %d", c.method, c.expires, c.age, status, text, c.want)
		}
	}
}
