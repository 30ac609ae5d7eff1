package wire

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/sambatech/chassis/queue/localsqs/internal/engine"
)

// The query protocol of 2012-11-05: parameters of a form in, XML out. SDKs from
// before November 2023 speak it. A request is made into the JSON of the same
// operation, and the JSON of its answer into XML.

// pairs are parameters that make up a map: PREFIX.n.KEY and PREFIX.n.Value.
type pairs struct{ member, key string }

var (
	queryPairs = map[string]pairs{
		"Attribute": {"Attributes", "Name"}, "Tag": {"Tags", "Key"},
		"MessageAttribute":       {"MessageAttributes", "Name"},
		"MessageSystemAttribute": {"MessageSystemAttributes", "Name"},
		// SQS takes the plural too.
		"Attributes": {"Attributes", "Name"}, "Tags": {"Tags", "Key"},
		"MessageAttributes": {"MessageAttributes", "Name"},
	}
	queryLists = map[string]string{
		"AttributeName": "AttributeNames", "MessageAttributeName": "MessageAttributeNames",
		"MessageSystemAttributeName": "MessageSystemAttributeNames",
		"AWSAccountId":               "AWSAccountIds", "ActionName": "Actions", "TagKey": "TagKeys",
		"AttributeNames": "AttributeNames", "MessageAttributeNames": "MessageAttributeNames",
		"TagKeys":                                  "TagKeys",
		"SendMessageBatchRequestEntry":             entries,
		"DeleteMessageBatchRequestEntry":           entries,
		"ChangeMessageVisibilityBatchRequestEntry": entries,
	}
	queryNumbers = map[string]bool{
		"DelaySeconds": true, "MaxNumberOfMessages": true, "VisibilityTimeout": true, "WaitTimeSeconds": true,
		"MaxResults": true, "MaxNumberOfMessagesPerSecond": true,
	}
)

// entries is the member of a batch, with parameters in each element.
const entries = "Entries"

// most is the largest n of PREFIX.n that is read; no list of a request has more.
const most = 1000

// tree is parameters by the parts of their names.
type tree struct {
	value string
	parts map[string]*tree
}

func (t *tree) put(name, value string) {
	for part := range strings.SplitSeq(name, ".") {
		if t.parts == nil {
			t.parts = map[string]*tree{}
		}
		if t.parts[part] == nil {
			t.parts[part] = &tree{}
		}
		t = t.parts[part]
	}
	t.value = value
}

func (t *tree) text(part string) string {
	if t.parts[part] == nil {
		return ""
	}
	return t.parts[part].value
}

// numbered are the parts 1, 2, …, whichever there are, in order. A part of
// another name is refused: it would be lost in silence.
func (t *tree) numbered() (list []*tree, err *engine.Error) {
	var ns []int
	for part := range t.parts {
		n, failed := strconv.Atoi(part)
		if failed != nil || n < 1 || n > most || strconv.Itoa(n) != part {
			return nil, engine.MalformedInput()
		}
		ns = append(ns, n)
	}
	slices.Sort(ns)
	for _, n := range ns {
		list = append(list, t.parts[strconv.Itoa(n)])
	}
	return list, nil
}

// QueryRequest makes the JSON of an operation from the parameters of a query
// request.
func QueryRequest(op string, params url.Values) ([]byte, *engine.Error) {
	root := &tree{}
	for name, values := range params {
		if len(values) == 0 || strings.Count(name, ".") > 6 {
			continue
		}
		if !utf8.ValidString(name) || !utf8.ValidString(values[0]) {
			return nil, engine.InvalidParameterValue("The parameter %q is not UTF-8.", name)
		}
		root.put(name, values[0])
	}
	o, err := root.object()
	if err != nil {
		return nil, err
	}
	if tags, ok := o["Tags"]; ok && op == "CreateQueue" {
		o["tags"] = tags // the one member of a request that begins with a small letter
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false) // a body of markup would become six times as long
	if failed := e.Encode(o); failed != nil {
		return nil, engine.InvalidParameterValue("The parameters cannot be read: %v.", failed)
	}
	return b.Bytes(), nil
}

func (t *tree) object() (map[string]any, *engine.Error) {
	o := make(map[string]any, len(t.parts))
	for name, part := range t.parts {
		if p, ok := queryPairs[name]; ok && len(part.parts) > 0 {
			m, err := part.pairs(p)
			if err != nil {
				return nil, err
			}
			o[p.member] = m
			continue
		}
		if member, ok := queryLists[name]; ok {
			list, err := part.list(member)
			if err != nil {
				return nil, err
			}
			o[member] = list
			continue
		}
		if queryNumbers[name] {
			n, err := strconv.ParseInt(part.value, 10, 64)
			if err != nil {
				return nil, engine.InvalidParameter(part.value, name, "It must be an integer.")
			}
			o[name] = n
			continue
		}
		if len(part.parts) == 0 {
			o[name] = part.value
		}
	}
	return o, nil
}

// pairs is a map. A single pair may go without a number.
func (t *tree) pairs(p pairs) (map[string]any, *engine.Error) {
	list := []*tree{t}
	if t.parts[p.key] == nil {
		var err *engine.Error
		if list, err = t.numbered(); err != nil {
			return nil, err
		}
	}
	m := make(map[string]any, len(list))
	for _, one := range list {
		m[one.text(p.key)] = one.pairValue()
	}
	return m, nil
}

// list is a list. A single text may go without a number; without a value it is
// an empty list.
func (t *tree) list(member string) ([]any, *engine.Error) {
	list := []any{}
	if len(t.parts) == 0 && t.value != "" && member != entries {
		return append(list, t.value), nil
	}
	parts, err := t.numbered()
	if err != nil {
		return nil, err
	}
	for _, one := range parts {
		if member != entries {
			list = append(list, one.value)
			continue
		}
		entry, err := one.object()
		if err != nil {
			return nil, err
		}
		list = append(list, entry)
	}
	return list, nil
}

// pairValue is the value of a pair: a text, or the parts of a message attribute.
func (t *tree) pairValue() any {
	v := t.parts["Value"]
	if v == nil || len(v.parts) == 0 {
		return t.text("Value")
	}
	m := map[string]string{}
	for name, part := range v.parts {
		if len(part.parts) == 0 {
			m[name] = part.value
		}
	}
	return m
}

const (
	xmlHead = xml.Header + "<"
	xmlns   = ` xmlns="http://queue.amazonaws.com/doc/2012-11-05/">`
)

// QueryAnswer makes the XML of an operation's answer from its JSON.
func QueryAnswer(op string, answer []byte, requestID string) ([]byte, error) {
	d := json.NewDecoder(bytes.NewReader(answer))
	d.UseNumber()
	var o map[string]any
	if err := d.Decode(&o); err != nil {
		return nil, err
	}
	var b bytes.Buffer
	b.WriteString(xmlHead + op + "Response" + xmlns)
	if len(o) > 0 || queryResults[op] {
		element(&b, op+"Result", func() { members(&b, op, o) })
	}
	element(&b, "ResponseMetadata", func() { leaf(&b, "RequestId", requestID) })
	b.WriteString("</" + op + "Response>")
	return b.Bytes(), nil
}

// queryResults are the operations that have a result, which may be empty.
var queryResults = map[string]bool{
	"ListQueues": true, "ListDeadLetterSourceQueues": true, "GetQueueAttributes": true, "ListQueueTags": true, "ReceiveMessage": true,
	"SendMessageBatch": true, "DeleteMessageBatch": true, "ChangeMessageVisibilityBatch": true, "ListMessageMoveTasks": true,
}

// QueryError makes the XML of a refusal.
func QueryError(err *engine.Error, requestID string) []byte {
	var b bytes.Buffer
	b.WriteString(xmlHead + "ErrorResponse" + xmlns)
	element(&b, "Error", func() {
		kind := "Receiver"
		if err.Sender() {
			kind = "Sender"
		}
		leaf(&b, "Type", kind)
		leaf(&b, "Code", err.Code)
		leaf(&b, "Message", err.Message)
		b.WriteString("<Detail/>")
	})
	leaf(&b, "RequestId", requestID)
	b.WriteString("</ErrorResponse>")
	return b.Bytes()
}

func element(b *bytes.Buffer, name string, inner func()) {
	b.WriteString("<" + name + ">")
	inner()
	b.WriteString("</" + name + ">")
}

func leaf(b *bytes.Buffer, name, text string) {
	element(b, name, func() { escape(b, text) })
}

// escape writes a text as SQS does: with names for the four signs that need
// one, and a number for the one character that XML would change. Older clients know
// no other.
func escape(b *bytes.Buffer, text string) {
	for _, r := range text {
		switch {
		case r == '&':
			b.WriteString("&amp;")
		case r == '<':
			b.WriteString("&lt;")
		case r == '>':
			b.WriteString("&gt;")
		case r == '"':
			b.WriteString("&quot;")
		case r == '\r':
			b.WriteString("&#xD;")
		case r < ' ' && r != '\t' && r != '\n', r == 0xFFFE, r == 0xFFFF:
			b.WriteRune(utf8.RuneError) // XML has no place for it
		default:
			b.WriteRune(r)
		}
	}
}

// xmlItems are the elements of the members that are lists.
var xmlItems = map[string]string{
	"QueueUrls": "QueueUrl", "queueUrls": "QueueUrl", "Messages": "Message", "Results": "ListMessageMoveTasksResultEntry", "Failed": "BatchResultErrorEntry",
}

// xmlPairs are the elements of the members that are maps, and of their keys.
var xmlPairs = map[string][2]string{
	"Attributes": {"Attribute", "Name"}, "Tags": {"Tag", "Key"}, "MessageAttributes": {"MessageAttribute", "Name"},
}

func members(b *bytes.Buffer, op string, o map[string]any) {
	for _, name := range slices.Sorted(maps.Keys(o)) {
		switch v := o[name].(type) {
		case []any:
			item := xmlItems[name]
			if name == "Successful" {
				item = op + "ResultEntry"
			}
			for _, one := range v {
				value(b, op, item, one)
			}
		case map[string]any:
			names, isPairs := xmlPairs[name]
			if !isPairs {
				value(b, op, name, v)
				continue
			}
			for _, key := range slices.Sorted(maps.Keys(v)) {
				element(b, names[0], func() {
					leaf(b, names[1], key)
					value(b, op, "Value", v[key])
				})
			}
		default:
			value(b, op, name, v)
		}
	}
}

func value(b *bytes.Buffer, op, name string, v any) {
	switch v := v.(type) {
	case map[string]any:
		element(b, name, func() { members(b, op, v) })
	case string:
		leaf(b, name, v)
	case json.Number:
		leaf(b, name, v.String())
	case bool:
		leaf(b, name, strconv.FormatBool(v))
	}
}
