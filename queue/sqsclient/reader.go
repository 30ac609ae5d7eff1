package sqsclient

import (
	"unicode/utf16"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// reader reads the JSON of the answers that [protocol] knows. The last result of
// each method reports whether it found what it reads; if not, the answer is left
// to the SDK.
//
// The texts of one message are gathered in text and become one string; the fields
// of the message are parts of it. So there is one allocation, and a message that
// is kept keeps the memory of no other.
type reader struct {
	answer []byte
	at     int
	text   []byte
	system []pair      // of the message in hand
	custom []attribute // of the message in hand

	// Of messages for [Messages]:
	found []Message
	sums  []sum // of their bodies
	plain []plainText
	words map[string]string // names and types of attributes
}

// span is a part of text.
type span struct{ from, to int }

type pair struct{ name, value span }

// attribute is a message attribute that holds text; text and dataType may each
// be missing.
type attribute struct {
	name, dataType, text span
	hasType, hasText     bool
}

// The members of a message, by their place in a block of strings.
const (
	messageID = iota
	receiptHandle
	md5OfBody
	body
	md5OfAttributes
	members
)

var memberNames = [members]string{"MessageId", "ReceiptHandle", "MD5OfBody", "Body", "MD5OfMessageAttributes"}

// messages reads the answer to a ReceiveMessage.
func (r *reader) messages() ([]types.Message, bool) {
	if r.empty() {
		return nil, true
	}
	if !r.member("Messages") || !r.next('[') {
		return nil, false
	}
	list := make([]types.Message, 0, 10)
	for first := true; ; first = false {
		if first && r.next(']') {
			break
		}
		var m types.Message
		if !r.message(&m) {
			return nil, false
		}
		list = append(list, m)
		if r.next(']') {
			break
		}
		if !r.next(',') {
			return nil, false
		}
	}
	return list, r.next('}') && r.end()
}

func (r *reader) message(m *types.Message) bool {
	r.text, r.system, r.custom = r.text[:0], r.system[:0], r.custom[:0]
	var found [members]span
	var has [members]bool
	var hasSystem, hasCustom bool
	ok := r.object(func(key []byte) bool {
		switch string(key) {
		case "Attributes":
			hasSystem, r.system = true, r.system[:0]
			return r.systemAttributes()
		case "MessageAttributes":
			hasCustom, r.custom = true, r.custom[:0]
			return r.customAttributes()
		}
		for i, name := range memberNames {
			if string(key) == name {
				var ok bool
				found[i], ok = r.string()
				has[i] = ok
				return ok
			}
		}
		return false
	})
	if !ok || !utf8.Valid(r.text) {
		return false
	}
	text := string(r.text)
	block := make([]string, 0, members+2*len(r.custom)) // never grows: pointers into it are given out
	part := func(s span) *string {
		block = append(block, text[s.from:s.to])
		return &block[len(block)-1]
	}
	for i, field := range [members]**string{&m.MessageId, &m.ReceiptHandle, &m.MD5OfBody, &m.Body,
		&m.MD5OfMessageAttributes} {
		if has[i] {
			*field = part(found[i])
		}
	}
	if hasSystem {
		m.Attributes = make(map[string]string, len(r.system))
		for _, a := range r.system {
			m.Attributes[text[a.name.from:a.name.to]] = text[a.value.from:a.value.to]
		}
	}
	if hasCustom {
		m.MessageAttributes = make(map[string]types.MessageAttributeValue, len(r.custom))
		for _, a := range r.custom {
			var v types.MessageAttributeValue
			if a.hasType {
				v.DataType = part(a.dataType)
			}
			if a.hasText {
				v.StringValue = part(a.text)
			}
			m.MessageAttributes[text[a.name.from:a.name.to]] = v
		}
	}
	return true
}

func (r *reader) systemAttributes() bool {
	return r.pairs(func(name span) bool {
		value, ok := r.string()
		r.system = append(r.system, pair{name, value})
		return ok
	})
}

func (r *reader) customAttributes() bool {
	return r.pairs(func(name span) bool {
		a := attribute{name: name}
		ok := r.object(func(key []byte) bool {
			var ok bool
			switch string(key) {
			case "StringValue":
				a.text, ok = r.string()
				a.hasText = ok
			case "DataType":
				a.dataType, ok = r.string()
				a.hasType = ok
			}
			return ok
		})
		r.custom = append(r.custom, a)
		return ok
	})
}

// pairs reads an object with names that are data.
func (r *reader) pairs(value func(name span) bool) bool {
	return r.entries(func() bool {
		name, ok := r.string()
		return ok && r.next(':') && value(name)
	})
}

// object reads an object with known names, each without an escape.
func (r *reader) object(value func(key []byte) bool) bool {
	return r.entries(func() bool {
		key, ok := r.key()
		return ok && r.next(':') && value(key)
	})
}

func (r *reader) entries(entry func() bool) bool {
	if !r.next('{') {
		return false
	}
	if r.next('}') {
		return true
	}
	for entry() {
		if r.next('}') {
			return true
		}
		if !r.next(',') {
			return false
		}
	}
	return false
}

// member reads the start of an object, up to the value of its first member,
// which is to have this name.
func (r *reader) member(name string) bool {
	if !r.next('{') {
		return false
	}
	key, ok := r.key()
	return ok && string(key) == name && r.next(':')
}

// empty reads an object without members, or nothing at all.
func (r *reader) empty() bool {
	if len(r.answer) == 0 {
		return true
	}
	start := r.at
	if r.next('{') && r.next('}') && r.end() {
		return true
	}
	r.at = start
	return false
}

func (r *reader) skip() {
	for r.at < len(r.answer) {
		switch r.answer[r.at] {
		case ' ', '\t', '\n', '\r':
			r.at++
		default:
			return
		}
	}
}

// next reads c.
func (r *reader) next(c byte) bool {
	if r.skip(); r.at < len(r.answer) && r.answer[r.at] == c {
		r.at++
		return true
	}
	return false
}

func (r *reader) end() bool {
	r.skip()
	return r.at == len(r.answer)
}

// key reads a string that has no escape and leaves it where it is.
func (r *reader) key() ([]byte, bool) {
	if !r.next('"') {
		return nil, false
	}
	for i := r.at; i < len(r.answer); i++ {
		switch c := r.answer[i]; {
		case c == '"':
			key := r.answer[r.at:i]
			r.at = i + 1
			return key, true
		case c == '\\' || c < ' ':
			return nil, false
		}
	}
	return nil, false
}

// string reads a string into text.
func (r *reader) string() (span, bool) {
	if !r.next('"') {
		return span{}, false
	}
	from, start := len(r.text), r.at
	for i := r.at; i < len(r.answer); i++ {
		switch c := r.answer[i]; {
		case c == '"':
			r.text = append(r.text, r.answer[start:i]...)
			r.at = i + 1
			return span{from, len(r.text)}, true
		case c < ' ':
			return span{}, false
		case c == '\\':
			r.text = append(r.text, r.answer[start:i]...)
			r.at = i + 1
			if !r.escape() {
				return span{}, false
			}
			start, i = r.at, r.at-1
		}
	}
	return span{}, false
}

// escape reads what follows a backslash.
func (r *reader) escape() bool {
	if r.at >= len(r.answer) {
		return false
	}
	c := r.answer[r.at]
	r.at++
	switch c {
	case '"', '\\', '/':
	case 'n':
		c = '\n'
	case 't':
		c = '\t'
	case 'r':
		c = '\r'
	case 'b':
		c = '\b'
	case 'f':
		c = '\f'
	case 'u':
		return r.unicode()
	default:
		return false
	}
	r.text = append(r.text, c)
	return true
}

// unicode reads four hexadecimal digits, and the second half of a pair. Half a
// pair is left to the SDK.
func (r *reader) unicode() bool {
	u, ok := r.hex()
	if ok && utf16.IsSurrogate(u) {
		if r.at+2 > len(r.answer) || string(r.answer[r.at:r.at+2]) != `\u` {
			return false
		}
		r.at += 2
		var low rune
		low, ok = r.hex()
		if u = utf16.DecodeRune(u, low); u == utf8.RuneError {
			return false
		}
	}
	r.text = utf8.AppendRune(r.text, u)
	return ok
}

func (r *reader) hex() (u rune, ok bool) {
	if r.at+4 > len(r.answer) {
		return 0, false
	}
	for _, c := range r.answer[r.at : r.at+4] {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		u = u<<4 | rune(c)
	}
	r.at += 4
	return u, true
}
