package wire

import (
	"crypto/md5"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
	"unsafe"

	"github.com/sambatech/chassis/queue/localsqs/internal/engine"
)

const (
	maxAttributes    = 10
	maxAttributeName = 256
)

// Content checks a message to be sent and makes the engine's form of it.
//
// trace is the trace header of the request, which the message takes on unless
// it has one of its own.
func (s *SendEntry) Content(sender, trace string) (*engine.Content, *engine.Error) {
	if s.MessageBody == "" {
		return nil, engine.MissingParameter("MessageBody")
	}
	plain, ok := scan(s.MessageBody)
	if !ok {
		return nil, engine.InvalidContents()
	}
	c := &engine.Content{Body: s.MessageBody, PlainJSON: plain, Sender: sender,
		BodyMD5: md5.Sum(unsafe.Slice(unsafe.StringData(s.MessageBody), len(s.MessageBody)))}
	if s.MessageDeduplicationId != nil {
		if *s.MessageDeduplicationId == "" {
			return nil, engine.InvalidParameter("", "MessageDeduplicationId",
				"MessageDeduplicationId can only include alphanumeric and punctuation characters. 1 to 128 in length.")
		}
		c.DedupID = *s.MessageDeduplicationId
	}
	if s.MessageGroupId != nil && *s.MessageGroupId == "" {
		return nil, engine.InvalidParameter("", "MessageGroupId",
			"MessageGroupId can only include alphanumeric and punctuation characters. 1 to 128 in length.")
	}
	if len(s.MessageAttributes) > 0 {
		attrs, err := attributes(s.MessageAttributes)
		if err != nil {
			return nil, err
		}
		c.Attrs, c.AttrsMD5 = attrs, AttributesMD5(attrs)
	}
	for name, v := range s.MessageSystemAttributes {
		if name != "AWSTraceHeader" {
			return nil, engine.InvalidParameterValue("Message system attribute name '%s' is invalid.", name)
		}
		if v.DataType != "String" || v.StringValue == nil || *v.StringValue == "" {
			return nil, engine.InvalidParameterValue("Message system attribute 'AWSTraceHeader' must be a " +
				"non-empty String.")
		}
		if _, ok := scan(*v.StringValue); !ok {
			return nil, engine.InvalidAttributeContents()
		}
		c.Trace = *v.StringValue
	}
	if c.Trace == "" && trace != "" {
		if _, ok := scan(trace); ok {
			c.Trace = trace
		}
	}
	return c, nil
}

// Group is the entry's MessageGroupId or nothing.
func (s *SendEntry) Group() string {
	if s.MessageGroupId == nil {
		return ""
	}
	return *s.MessageGroupId
}

// DedupID is the entry's MessageDeduplicationId or nothing.
func (s *SendEntry) DedupID() string {
	if s.MessageDeduplicationId == nil {
		return ""
	}
	return *s.MessageDeduplicationId
}

// Delay is the entry's DelaySeconds, or engine.QueueDelay.
func (s *SendEntry) Delay() int64 {
	if s.DelaySeconds == nil {
		return engine.QueueDelay
	}
	return max(*s.DelaySeconds, engine.QueueDelay+1) // out of range either way
}

// scan checks that s holds only characters of XML 1.0, and whether it can
// stand in a JSON string as it is.
func scan(s string) (plain, valid bool) {
	plain = true
	for i := 0; i < len(s); {
		if len(s)-i >= 8 && plainASCII(word(s[i:i+8])) {
			i += 8
			continue
		}
		c := s[i]
		switch {
		case c >= utf8.RuneSelf:
			r, n := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && n == 1 || r == 0xFFFE || r == 0xFFFF {
				return false, false
			}
			i += n
			continue
		case c < ' ':
			if c != '\t' && c != '\n' && c != '\r' {
				return false, false
			}
			plain = false
		case c == '"' || c == '\\':
			plain = false
		}
		i++
	}
	return plain, true
}

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// word returns the eight bytes of s. The compiler makes one load of it.
func word(s string) uint64 {
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}

// plainASCII reports whether all eight bytes of x are ASCII characters from the
// space on, without a quote or a backslash.
func plainASCII(x uint64) bool {
	quote, slash := x^('"'*ones), x^('\\'*ones)
	return (x|(x-' '*ones)|(quote-ones)|(slash-ones))&highs == 0
}

func attributes(in map[string]AttributeValue) ([]engine.Attribute, *engine.Error) {
	if len(in) > maxAttributes {
		return nil, engine.InvalidParameterValue("Number of message attributes [%d] exceeds the allowed maximum [%d].",
			len(in), maxAttributes)
	}
	out := make([]engine.Attribute, 0, len(in))
	for name, v := range in {
		if err := checkAttributeName(name); err != nil {
			return nil, err
		}
		value, err := attributeValue(name, &v)
		if err != nil {
			return nil, err
		}
		out = append(out, engine.Attribute{Name: name, Type: v.DataType, String: value})
	}
	slices.SortFunc(out, func(a, b engine.Attribute) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

func checkAttributeName(name string) *engine.Error {
	if name == "" {
		return engine.InvalidParameterValue("The request must contain non-empty message (user) attribute names.")
	}
	if len(name) > maxAttributeName {
		return engine.InvalidParameterValue("Message (user) attribute name must be shorter than 256 bytes.")
	}
	if lower := strings.ToLower(name); strings.HasPrefix(lower, "aws.") || strings.HasPrefix(lower, "amazon.") {
		return engine.InvalidParameterValue("You can't use message attribute names beginning with 'AWS.' or " +
			"'Amazon'. These strings are reserved for internal use.")
	}
	for _, c := range name {
		if !unicode.IsLetter(c) && !unicode.IsDigit(c) && c != '-' && c != '_' && c != '.' {
			return engine.InvalidParameterValue("Invalid attribute name '%s': it can only contain alphanumeric "+
				"characters, hyphens, underscores and periods.", name)
		}
	}
	if name[0] == '.' || name[len(name)-1] == '.' || strings.Contains(name, "..") {
		return engine.InvalidParameterValue("Invalid attribute name '%s': it must not begin or end with a period "+
			"or have periods in succession.", name)
	}
	return nil
}

// number is what SQS takes as a Number: up to 38 digits and an exponent.
var number = regexp.MustCompile(`^[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?$`)

func attributeValue(name string, v *AttributeValue) (string, *engine.Error) {
	kind, _, _ := strings.Cut(v.DataType, ".")
	if len(v.StringListValues) > 0 || len(v.BinaryListValues) > 0 {
		return "", engine.UnsupportedOperation("Message attribute list values in SendMessage operation are not " +
			"supported.")
	}
	if v.DataType == "" && v.StringValue == nil && v.BinaryValue == nil {
		return "", engine.InvalidParameterValue("The message (user) attribute '%s' must contain a non-empty "+
			"message attribute value.", name)
	}
	if v.DataType == "" {
		return "", engine.InvalidParameterValue("The message (user) attribute '%s' must contain a non-empty "+
			"message attribute type.", name)
	}
	if len(v.DataType) > maxAttributeName {
		return "", engine.InvalidParameterValue("Message (user) attribute type must be shorter than 256 bytes.")
	}
	if kind != "String" && kind != "Number" && kind != "Binary" || strings.HasSuffix(v.DataType, ".") {
		return "", engine.InvalidParameterValue("The type of message (user) attribute '%s' is invalid. You must "+
			"use only the following supported type prefixes: Binary, Number, String.", name)
	}
	if _, ok := scan(v.DataType); !ok {
		return "", engine.InvalidAttributeContents()
	}
	if v.StringValue != nil && len(v.BinaryValue) > 0 {
		return "", engine.InvalidParameterValue("Message attribute '%s' has two values: only one of StringValue "+
			"and BinaryValue can be given.", name)
	}
	if kind == "Binary" {
		if len(v.BinaryValue) == 0 {
			return "", emptyValue(name, v.DataType)
		}
		return string(v.BinaryValue), nil
	}
	if v.StringValue == nil || *v.StringValue == "" {
		return "", emptyValue(name, v.DataType)
	}
	if _, ok := scan(*v.StringValue); !ok {
		return "", engine.InvalidAttributeContents()
	}
	if kind == "Number" {
		if !number.MatchString(*v.StringValue) {
			return "", engine.InvalidParameterValue("Can't cast the value of message (user) attribute '%s' to a "+
				"number.", name)
		}
		if digits := strings.Count(*v.StringValue, "") - 1; digits > 45 {
			return "", engine.InvalidParameterValue("The value of message (user) attribute '%s' has more than 38 "+
				"digits of precision (%s characters).", name, strconv.Itoa(digits))
		}
	}
	return *v.StringValue, nil
}

func emptyValue(name, kind string) *engine.Error {
	return engine.InvalidParameterValue("Message (user) attribute '%s' must contain a non-empty value of type '%s'.",
		name, kind)
}
