package envelope

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/sambatech/chassis/task"
)

// version is the first number of each envelope; a reader refuses others.
const version = 1

// header is what a sealed body says of itself. Where the arguments are encrypted, what
// they are opened by is authenticated; the note is not, nor where an object is, for any
// other would not open.
type header struct {
	Version int    `json:"v"`
	Note    string `json:"note"` // for people
	Task    string `json:"task"`
	ExecID  string `json:"exec_id"`
	Zstd    int    `json:"zstd,omitempty"`     // bytes before the compression; 0: not compressed
	Key     string `json:"key,omitempty"`      // id of the key that the data key is wrapped by
	DataKey []byte `json:"data_key,omitempty"` // wrapped
	Object  string `json:"object,omitempty"`   // name in the store; empty: the data is in the message
	Sum     []byte `json:"sha256,omitempty"`   // of the object
}

// sealed is a whole body.
type sealed struct {
	Header header `json:"chassis_envelope"`
	Data   []byte `json:"data,omitempty"`
}

// additional is the associated data of the encryption: the same header in any spelling of
// its JSON gives the same bytes, and two different headers never do.
func (h *header) additional() []byte {
	b := make([]byte, 0, 64+len(h.Task)+len(h.ExecID)+len(h.Key)+len(h.DataKey))
	for _, part := range []string{"chassis envelope 1", h.Task, h.ExecID, strconv.Itoa(h.Zstd), h.Key,
		string(h.DataKey)} {
		b = binary.AppendUvarint(b, uint64(len(part)))
		b = append(b, part...)
	}
	return b
}

// mark is the text of the attribute that says what was done.
func (h *header) mark() string {
	var did []string
	if h.Zstd > 0 {
		did = append(did, "zstd")
	}
	if h.Key != "" {
		did = append(did, "aes-256-gcm key="+h.Key)
	}
	if h.Object != "" {
		did = append(did, "object "+h.Object)
	}
	return strings.Join(did, ", ")
}

// describe fills in the note.
func (h *header) describe() {
	var b strings.Builder
	b.WriteString("These are not the arguments of the task. They are ")
	var did []string
	if h.Zstd > 0 {
		did = append(did, "compressed by zstd")
	}
	if h.Key != "" {
		did = append(did, fmt.Sprintf("encrypted with the key %q", h.Key))
	}
	if h.Object != "" {
		did = append(did, "kept in a store under "+h.Object)
	}
	b.WriteString(strings.Join(did, ", "))
	b.WriteString(". A consumer needs the Go chassis with the key or the store of the sender (docs/arguments.md).")
	h.Note = b.String()
}

// encode writes the body as Python's json.dumps would, with the data last.
func (s *sealed) encode() (string, error) {
	var head bytes.Buffer
	enc := json.NewEncoder(&head)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(s.Header); err != nil {
		return "", err
	}
	var b strings.Builder
	b.Grow(head.Len() + base64.StdEncoding.EncodedLen(len(s.Data)) + 64)
	b.WriteString(`{"` + task.EnvelopeKey + `": `)
	ascii(&b, strings.TrimSuffix(head.String(), "\n"))
	if s.Header.Object == "" {
		b.WriteString(`, "data": "`)
		w := base64.NewEncoder(base64.StdEncoding, &b)
		_, _ = w.Write(s.Data) // a builder takes all
		_ = w.Close()
		b.WriteByte('"')
	}
	b.WriteByte('}')
	return b.String(), nil
}

// ascii writes JSON text with what is not ASCII escaped: SQS does not take all characters.
func ascii(b *strings.Builder, text string) {
	for _, r := range text {
		switch {
		case r < 0x7f:
			b.WriteByte(byte(r))
		case r > 0xffff:
			r -= 0x10000
			fmt.Fprintf(b, `\u%04x\u%04x`, 0xd800+(r>>10), 0xdc00+(r&0x3ff))
		default:
			fmt.Fprintf(b, `\u%04x`, r)
		}
	}
}

// objectName is the form of an object's name. What is on the queue is anyone's to choose,
// and the name is a path in some stores.
var objectName = regexp.MustCompile(`^(30d|90d|366d|ever)/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

// maxKeyID bounds the id of a key, in bytes.
const maxKeyID = 256

// decode reads a body. The error says what is wrong with its form, and holds no part of it.
func decode(body []byte) (*sealed, error) {
	if !task.IsSealed(body) {
		return nil, errors.New("the body is no envelope")
	}
	var s sealed
	if err := json.Unmarshal(body, &s); err != nil {
		return nil, fmt.Errorf("the body is broken or cut off: %w", formError(err))
	}
	h := &s.Header
	switch {
	case h.Version > version:
		return nil, fmt.Errorf("it has version %d, and this chassis reads version %d: update this service", h.Version,
			version)
	case h.Version != version:
		return nil, fmt.Errorf("it has no version that there is: %d", h.Version)
	case h.Object != "" && !objectName.MatchString(h.Object):
		return nil, errors.New("the name of its object is not of the form that senders give")
	case h.Object != "" && (len(h.Sum) != 32 || len(s.Data) > 0):
		return nil, errors.New("it names an object, and its checksum is missing or it has data, too")
	case h.Object == "" && len(s.Data) == 0:
		return nil, errors.New("it has neither data nor an object")
	case (h.Key == "") != (len(h.DataKey) == 0) || len(h.Key) > maxKeyID || len(h.DataKey) > 1<<16:
		return nil, errors.New("it names a key and has no data key, or the other way round, or they are too long")
	case h.Zstd < 0:
		return nil, errors.New("its size is below zero")
	}
	return &s, nil
}

// Describe returns what an envelope says of itself, without a key: "aes-256-gcm key=2026-11".
// It reports whether the body is one. An envelope that is broken says so.
func Describe(body []byte) (text string, is bool) {
	if !task.IsSealed(body) {
		return "", false
	}
	s, err := decode(body)
	if err != nil {
		return "broken: " + err.Error(), true
	}
	return s.Header.mark(), true
}

// formError leaves values out of an error of encoding/json.
func formError(err error) error {
	var wrong *json.UnmarshalTypeError
	if errors.As(err, &wrong) {
		return fmt.Errorf("the member %q is no %v", wrong.Field, wrong.Type)
	}
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		return fmt.Errorf("no JSON at byte %d", syntax.Offset)
	}
	return errors.New("no JSON of that form")
}
