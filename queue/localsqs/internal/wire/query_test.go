package wire

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/sambatech/chassis/queue/localsqs/internal/engine"
)

func TestQueryRequestsBecomeTheJSONOfTheirOperation(t *testing.T) {
	for _, c := range []struct{ op, form, want string }{
		{"ListQueues", "Action=ListQueues&Version=2012-11-05&QueueNamePrefix=a&MaxResults=3", `{"Action":"ListQueues","Version":"2012-11-05","QueueNamePrefix":"a","MaxResults":3}`},
		{"CreateQueue", "QueueName=q&Attribute.1.Name=DelaySeconds&Attribute.1.Value=5&Attribute.2.Name=Policy&Attribute.2.Value=%7B%7D&Tag.1.Key=k&Tag.1.Value=v",
			`{"QueueName":"q","Attributes":{"DelaySeconds":"5","Policy":"{}"},"Tags":{"k":"v"},"tags":{"k":"v"}}`},
		{"TagQueue", "QueueUrl=u&Tags.1.Key=k&Tags.1.Value=v", `{"QueueUrl":"u","Tags":{"k":"v"}}`},
		{"UntagQueue", "QueueUrl=u&TagKey.1=a&TagKey.2=b", `{"QueueUrl":"u","TagKeys":["a","b"]}`},
		{"AddPermission", "Label=l&AWSAccountId.1=1&ActionName.1=a&ActionName.2=b", `{"Label":"l","AWSAccountIds":["1"],"Actions":["a","b"]}`},
		{"ReceiveMessage", "AttributeName.1=All&MessageAttributeName.1=x&MaxNumberOfMessages=10&WaitTimeSeconds=0", `{"AttributeNames":["All"],"MessageAttributeNames":["x"],"MaxNumberOfMessages":10,"WaitTimeSeconds":0}`},
		{"ReceiveMessage", "AttributeName=&Attribute=", `{"AttributeNames":[],"Attribute":""}`}, // as botocore sends an empty list
		{"SendMessage", "MessageBody=a%20b&DelaySeconds=-1&MessageAttribute.1.Name=n&MessageAttribute.1.Value.DataType=Binary&MessageAttribute.1.Value.BinaryValue=AP8%3D&MessageSystemAttribute.1.Name=AWSTraceHeader&MessageSystemAttribute.1.Value.DataType=String&MessageSystemAttribute.1.Value.StringValue=t",
			`{"MessageBody":"a b","DelaySeconds":-1,"MessageAttributes":{"n":{"DataType":"Binary","BinaryValue":"AP8="}},"MessageSystemAttributes":{"AWSTraceHeader":{"DataType":"String","StringValue":"t"}}}`},
		{"SendMessageBatch", "SendMessageBatchRequestEntry.2.Id=b&SendMessageBatchRequestEntry.10.Id=c&SendMessageBatchRequestEntry.1.Id=a&SendMessageBatchRequestEntry.1.DelaySeconds=3&SendMessageBatchRequestEntry.1.MessageAttribute.1.Name=n&SendMessageBatchRequestEntry.1.MessageAttribute.1.Value.DataType=String&SendMessageBatchRequestEntry.1.MessageAttribute.1.Value.StringValue=v",
			`{"Entries":[{"Id":"a","DelaySeconds":3,"MessageAttributes":{"n":{"DataType":"String","StringValue":"v"}}},{"Id":"b"},{"Id":"c"}]}`},
		{"ChangeMessageVisibilityBatch", "ChangeMessageVisibilityBatchRequestEntry.1.Id=a&ChangeMessageVisibilityBatchRequestEntry.1.VisibilityTimeout=7", `{"Entries":[{"Id":"a","VisibilityTimeout":7}]}`},
		{"DeleteMessageBatch", "DeleteMessageBatchRequestEntry=", `{"Entries":[]}`},
		// One of a list or map without its number, as SQS's own examples and boto 2 have it.
		{"GetQueueAttributes", "AttributeName=All", `{"AttributeNames":["All"]}`},
		{"SetQueueAttributes", "Attribute.Name=VisibilityTimeout&Attribute.Value=35", `{"Attributes":{"VisibilityTimeout":"35"}}`},
		{"CreateQueue", "Tag.Key=k&Tag.Value=v", `{"Tags":{"k":"v"},"tags":{"k":"v"}}`},
		// The plural, which SQS takes.
		{"SendMessage", "MessageAttributes.1.Name=n&MessageAttributes.1.Value.DataType=String&MessageAttributes.1.Value.StringValue=v",
			`{"MessageAttributes":{"n":{"DataType":"String","StringValue":"v"}}}`},
		{"ReceiveMessage", "MessageAttributeNames.1=All", `{"MessageAttributeNames":["All"]}`},
		// Gaps, and any order.
		{"SetQueueAttributes", "Attribute.3.Value=2&Attribute.1.Name=a&Attribute.3.Name=b&Attribute.1.Value=1", `{"Attributes":{"a":"1","b":"2"}}`},
	} {
		params, err := url.ParseQuery(c.form)
		if err != nil {
			t.Fatal(err)
		}
		got, refused := QueryRequest(c.op, params)
		if refused != nil {
			t.Errorf("%s: %v", c.form, refused)
			continue
		}
		var g, w any
		if json.Unmarshal(got, &g) != nil || json.Unmarshal([]byte(c.want), &w) != nil || !reflect.DeepEqual(g, w) {
			t.Errorf("%s gives\n%s, want\n%s", c.form, got, c.want)
		}
	}
	// What SQS cannot place is refused; dropped, it would be missed much later.
	for _, form := range []string{"MessageAttributeNames.member.1=All", "Attribute.DelaySeconds=10", "AttributeName.0=All", "Attribute.1001.Name=a",
		"MessageAttribute.01.Name=a", "SendMessageBatchRequestEntry.Id=a", "SendMessageBatchRequestEntry.1.MessageAttribute.entry.Name=a"} {
		params, _ := url.ParseQuery(form)
		if b, refused := QueryRequest("X", params); refused == nil || refused.Code != "MalformedInput" {
			t.Errorf("%s: %s, %v", form, b, refused)
		}
	}
	for _, form := range []string{"MessageBody=caf%E9", "%ff=1", "MessageBody=%ed%a0%80"} {
		params, _ := url.ParseQuery(form)
		if b, refused := QueryRequest("X", params); refused == nil || !strings.Contains(refused.Message, "is not UTF-8") {
			t.Errorf("%s: %s, %v", form, b, refused)
		}
	}
	for _, form := range []string{"MaxResults=x", "DelaySeconds=1.5", "SendMessageBatchRequestEntry.1.DelaySeconds=", "WaitTimeSeconds=99999999999999999999"} {
		params, _ := url.ParseQuery(form)
		if b, refused := QueryRequest("X", params); refused == nil || refused.Code != "InvalidParameterValue" {
			t.Errorf("%s: %s, %v", form, b, refused)
		}
	}
}

func TestAnswersOfTheQueryProtocol(t *testing.T) {
	for _, c := range []struct{ op, answer, want string }{
		{"DeleteMessage", `{}`, ``},
		{"ListQueues", `{}`, `<ListQueuesResult></ListQueuesResult>`},
		{"ListQueues", `{"NextToken":"t","QueueUrls":["u","v"]}`, `<ListQueuesResult><NextToken>t</NextToken><QueueUrl>u</QueueUrl><QueueUrl>v</QueueUrl></ListQueuesResult>`},
		{"ListDeadLetterSourceQueues", `{"queueUrls":["u"]}`, `<ListDeadLetterSourceQueuesResult><QueueUrl>u</QueueUrl></ListDeadLetterSourceQueuesResult>`},
		{"GetQueueAttributes", `{"Attributes":{"b":"2","a":"<&>"}}`, `<GetQueueAttributesResult><Attribute><Name>a</Name><Value>&lt;&amp;&gt;</Value></Attribute><Attribute><Name>b</Name><Value>2</Value></Attribute></GetQueueAttributesResult>`},
		{"ListQueueTags", `{"Tags":{"k":"v"}}`, `<ListQueueTagsResult><Tag><Key>k</Key><Value>v</Value></Tag></ListQueueTagsResult>`},
		{"ReceiveMessage", `{"Messages":[{"Body":"a\nb\"","Attributes":{"SenderId":"s"},"MessageAttributes":{"n":{"DataType":"Binary","BinaryValue":"AP8="}}}]}`,
			"<ReceiveMessageResult><Message><Attribute><Name>SenderId</Name><Value>s</Value></Attribute><Body>a\nb&quot;</Body><MessageAttribute><Name>n</Name><Value><BinaryValue>AP8=</BinaryValue><DataType>Binary</DataType></Value></MessageAttribute></Message></ReceiveMessageResult>"},
		{"SendMessageBatch", `{"Successful":[{"Id":"a"}],"Failed":[{"Id":"b","SenderFault":true}]}`,
			`<SendMessageBatchResult><BatchResultErrorEntry><Id>b</Id><SenderFault>true</SenderFault></BatchResultErrorEntry><SendMessageBatchResultEntry><Id>a</Id></SendMessageBatchResultEntry></SendMessageBatchResult>`},
		{"ListMessageMoveTasks", `{"Results":[{"StartedTimestamp":1795790791849,"Status":"RUNNING"}]}`,
			`<ListMessageMoveTasksResult><ListMessageMoveTasksResultEntry><StartedTimestamp>1795790791849</StartedTimestamp><Status>RUNNING</Status></ListMessageMoveTasksResultEntry></ListMessageMoveTasksResult>`},
	} {
		got, err := QueryAnswer(c.op, []byte(c.answer), "id")
		want := `<?xml version="1.0" encoding="UTF-8"?>` + "\n<" + c.op + `Response xmlns="http://queue.amazonaws.com/doc/2012-11-05/">` + c.want + `<ResponseMetadata><RequestId>id</RequestId></ResponseMetadata></` + c.op + `Response>`
		if err != nil || string(got) != want {
			t.Errorf("%s %s gives %v\n%s, want\n%s", c.op, c.answer, err, got, want)
		}
	}
	got := string(QueryError(engine.NoSuchQueue(), "id"))
	if !strings.Contains(got, `<Error><Type>Sender</Type><Code>AWS.SimpleQueueService.NonExistentQueue</Code><Message>The specified queue does not exist.</Message><Detail/></Error><RequestId>id</RequestId>`) {
		t.Errorf("a refusal is %s", got)
	}
}

// FuzzQuery feeds parameters: what comes out is JSON or a refusal, and an answer
// made of it is XML that ends well.
func FuzzQuery(f *testing.F) {
	f.Add("Action=SendMessage&MessageAttribute.1.Name=n&MessageAttribute.1.Value.DataType=String")
	f.Add("SendMessageBatchRequestEntry.1.MessageAttribute.1.Value.StringValue=v&Attribute.1=x&a.b.c.d.e=f&.=.&..=")
	f.Fuzz(func(t *testing.T, form string) {
		params, err := url.ParseQuery(form)
		if err != nil {
			t.Skip("no parameters")
		}
		b, refused := QueryRequest("SendMessage", params)
		if refused != nil {
			return
		}
		if !json.Valid(b) {
			t.Errorf("%q gives %q", form, b)
		}
		if answer, err := QueryAnswer("SendMessage", b, "id"); err != nil || !strings.HasSuffix(string(answer), "</SendMessageResponse>") {
			t.Errorf("%q gives %q, %v", b, answer, err)
		}
	})
}

// FuzzXMLText feeds texts: a reader of XML gets them back as they were, but for
// what XML has no place for. SQS takes no message with such.
func FuzzXMLText(f *testing.F) {
	f.Add("a\r\nb\tc <&>\"'&#xD;]]>")
	f.Add("caf\u00e9 \U0001F600 \u0000\u000b\ufffe\xff")
	f.Fuzz(func(t *testing.T, text string) {
		var b bytes.Buffer
		leaf(&b, "Body", text)
		var got string
		if err := xml.Unmarshal(b.Bytes(), &got); err != nil {
			t.Fatalf("%q is written as %q: %v", text, b.Bytes(), err)
		}
		want := strings.Map(func(r rune) rune {
			if r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == 0xFFFE || r == 0xFFFF {
				return utf8.RuneError
			}
			return r
		}, text)
		if got != want {
			t.Errorf("%q is read as %q", text, got)
		}
	})
}
