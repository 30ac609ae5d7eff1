package task

import (
	"strings"
	"testing"
	"time"
)

func TestKeysOfUnique(t *testing.T) {
	for name, opt := range map[string]Option{
		"1 to 200 bytes": Unique("", time.Hour),
		"only":           Unique("a\x00b", time.Hour),
		"1 to":           Unique(strings.Repeat("k", 201), time.Hour),
		"1 s to":         Unique("k", 0),
		"366 days":       UniqueUntilDone("k", 400*24*time.Hour),
	} {
		if _, err := Encode("welcome", 1, time.Now(), opt); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("error %v, want one with %q", err, name)
		}
	}
	out, err := Encode("welcome", 1, time.Now(), UniqueUntilDone("k", time.Hour))
	if err != nil || out.OneOf != (OneOf{"k", time.Hour, true}) {
		t.Fatalf("%+v, error %v", out, err)
	}
	if m, err := Decode(out.Body, out.Attributes); err != nil || m.Unique != "k" || m.Renewed().Unique != "k" {
		t.Errorf("the message carries %q, error %v", m.Unique, err)
	}
	out, err = Encode("welcome", 1, time.Now(), Unique("k", time.Hour))
	if err != nil || out.Attributes[AttrUnique].StringValue != nil {
		t.Errorf("a key with a window alone is on the message, error %v", err)
	}
	if a, b := (OneOf{Key: "k"}).DedupID("a"), (OneOf{Key: "k"}).DedupID("b"); a == b || len(a) > 128 {
		t.Errorf("two tasks have one deduplication id, or it is too long: %s", a)
	}
}
