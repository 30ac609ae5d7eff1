package store

import (
	"reflect"
	"testing"

	"github.com/sambatech/chassis/queue/localsqs/internal/engine"
)

func TestRecordsComeBackAsTheyWere(t *testing.T) {
	for _, m := range []engine.Meta{{}, {ID: [16]byte{1, 2}, Sent: 1e18, First: 3, Received: 4, Due: -1, Receives: 1 << 31, Size: 1 << 20, Group: "g", Before: 300, Origin: &engine.Key{Region: "r", Name: "n"}}} {
		if got, err := parseMeta(appendMeta(nil, &m)); err != nil || !reflect.DeepEqual(got, m) {
			t.Errorf("got %+v, %v; want %+v", got, err, m)
		}
	}
	for _, c := range []engine.Content{{Body: "x"}, {Body: "b\x00", BodyMD5: [16]byte{9}, Trace: "t", Sender: "s", DedupID: "d", PlainJSON: true,
		Attrs: []engine.Attribute{{Name: "a", Type: "String", String: "v"}, {Name: "b", Type: "Binary", String: "\xff"}}}} {
		if got, err := parseContent(appendContent(nil, &c)); err != nil || !reflect.DeepEqual(*got, c) {
			t.Errorf("got %+v, %v; want %+v", got, err, c)
		}
	}
}

// FuzzRecords feeds the readers damaged records: they must give an error or a
// record, and never panic.
func FuzzRecords(f *testing.F) {
	f.Add(appendMeta(nil, &engine.Meta{Group: "g"}))
	f.Add(appendContent(nil, &engine.Content{Body: "x", Attrs: []engine.Attribute{{Name: "a"}}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		if m, err := parseMeta(b); err == nil && len(b) < 16 {
			t.Errorf("%d bytes made %+v", len(b), m)
		}
		if c, err := parseContent(b); err == nil && len(c.Body) > len(b) {
			t.Errorf("%d bytes made a body of %d", len(b), len(c.Body))
		}
		_, _, _, _ = parseDedup(b)
	})
}
