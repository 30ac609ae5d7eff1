package task

import (
	"bytes"
	"compress/flate"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// written returns the journal of n steps with results of so many bytes.
func written(t testing.TB, n, size int) *Journal {
	t.Helper()
	r := rand.New(rand.NewPCG(1, 2))
	info := &Info{Task: "order"}
	ctx := WithInfo(context.Background(), info)
	for i := range n {
		_, err := Step(Lane(ctx, fmt.Sprint("lane", i%3)), fmt.Sprint("step", i), func(context.Context) ([]byte, error) {
			data := make([]byte, size)
			for k := range data {
				data[k] = byte(r.Uint32())
			}
			return data, nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return info.EndSteps()
}

func names(j *Journal) (list []string) {
	steps, _ := j.List(1 << 20)
	for _, s := range steps {
		list = append(list, s.Lane+"/"+s.Name)
	}
	return list
}

// TestAJournalTravels: as text while it is short, compressed when it is not; in an
// attribute of its own, and in chassis.more where there are ten others.
func TestAJournalTravels(t *testing.T) {
	for _, size := range []int{10, 5000} {
		for _, extra := range []int{0, 5, 9} {
			j := written(t, 6, size)
			m := Message{Name: "order", ExecID: "e", JobID: "j", JobName: "n", When: time.Unix(1, 0), Body: "{}", Failures: 1,
				Counted: true, LastError: "x", Steps: j.Wire()}
			for i := range extra {
				v := "v"
				if m.Extra == nil {
					m.Extra = map[string]types.MessageAttributeValue{}
				}
				m.Extra[fmt.Sprint("own", i)] = types.MessageAttributeValue{DataType: &stringType, StringValue: &v}
			}
			attrs := m.Attributes()
			if len(attrs) > MaxAttributes {
				t.Errorf("%d attributes", len(attrs))
			}
			if v, own := attrs[AttrSteps]; own && (*v.DataType == "Binary") != (size > 10) {
				t.Errorf("size %d is %s", size, *v.DataType)
			}
			for name, v := range attrs {
				if v.StringValue != nil && (*v.StringValue != clean(*v.StringValue) || !utf8.ValidString(*v.StringValue)) {
					t.Errorf("%s holds what SQS does not take", name)
				}
			}
			back, err := Decode(m.Body, attrs)
			if err != nil || !bytes.Equal(back.Steps, m.Steps) || len(back.Extra) != extra {
				t.Errorf("size %d, %d extra: %v, %d bytes of %d", size, extra, err, len(back.Steps), len(m.Steps))
			}
			if renewed := back.Renewed(); !bytes.Equal(renewed.Steps, m.Steps) {
				t.Error("a message that is sent back forgets its steps")
			}
			again := NewJournal(back.Steps)
			again.mu.Lock()
			again.read()
			again.mu.Unlock()
			if got, want := fmt.Sprint(names(again)), fmt.Sprint(names(j)); got != want {
				t.Errorf("%s, want %s", got, want)
			}
		}
	}
}

func TestAResultWithAnyTextTravels(t *testing.T) {
	texts := []string{"naïve", "日本語 \U0001F600", "\ufffe\uffff", "\x00\x01\x7f\u2028", `"\/`}
	x := &execution{}
	for range 2 {
		_ = x.attempt(true, func(ctx context.Context) error {
			for _, text := range texts {
				got, err := Step(ctx, "s "+text, func(context.Context) (string, error) { x.ran = append(x.ran, text); return text, nil })
				if err != nil || got != text {
					t.Errorf("%q: %q, %v", text, got, err)
				}
			}
			return errDown
		})
		if wire := string(x.journal.Wire()); wire != clean(wire) {
			t.Errorf("it holds what SQS does not take: %q", wire)
		}
	}
	if len(x.ran) != len(texts) {
		t.Errorf("ran %q", x.ran)
	}
}

func TestWhatDoesNotFitIsLeftOutFromTheEnd(t *testing.T) {
	j := written(t, 30, 1000)
	all := names(j)
	whole := len(j.Wire())
	for _, most := range []int{whole, whole - 1, whole / 2, 2000, 200, 10, 0} {
		wire, left := j.WireWithin(most)
		if len(wire) > most {
			t.Errorf("%d bytes of %d", len(wire), most)
		}
		part := NewJournal(wire)
		part.mu.Lock()
		part.read()
		part.mu.Unlock()
		if part.broken != nil || fmt.Sprint(names(part)) != fmt.Sprint(all[:len(all)-left]) || (left > 0) != (most < whole) {
			t.Errorf("most %d: %d left out, %v, %v", most, left, part.broken, names(part))
		}
	}
}

// TestADamagedJournalStopsTheSteps: what is done already must not be run again.
func TestADamagedJournalStopsTheSteps(t *testing.T) {
	var bomb bytes.Buffer
	bomb.WriteByte(wireDeflate)
	w, err := flate.NewWriter(&bomb, flate.BestSpeed)
	if err != nil {
		t.Fatal(err)
	}
	for range 64 {
		if _, err := w.Write(make([]byte, 1<<20)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ wire, text string }{
		"no JSON":      {"[nothing", "not the JSON"},
		"an object":    {"{}", "not the JSON"},
		"cut":          {string(written(t, 9, 400).Wire()[:500]), "cannot be decompressed"},
		"a bomb":       {bomb.String(), "more than 8388608 bytes"},
		"no result":    {`[{"n":"a"}]`, `entry 1, "a", has no result`},
		"no name":      {`[{"r":1}]`, "entry 1 has no name"},
		"a later kind": {`[{"n":"a","k":"signal"}]`, `of a kind "signal" that this version does not know`},
	} {
		info := &Info{Task: "order"}
		info.Resume(NewJournal([]byte(c.wire)))
		err := Do(WithInfo(t.Context(), info), "s", func(context.Context) error { t.Error(name, "ran"); return nil })
		if !errors.Is(err, ErrJournalBroken) || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: %v", name, err)
		}
		if string(info.EndSteps().Wire()) != c.wire {
			t.Errorf("%s: a copy does not carry it on", name)
		}
	}
}

func FuzzJournal(f *testing.F) {
	f.Add([]byte(`[{"n":"charge","r":{"ID":"1"},"t":5},{"l":"x","n":"nap","k":"sleep","u":"2026-11-28T00:00:00Z"}]`))
	f.Add(written(f, 4, 900).Wire())
	f.Add([]byte{wireDeflate, 0})
	f.Fuzz(func(t *testing.T, wire []byte) {
		list, err := unpack(wire)
		if err != nil {
			return
		}
		j := &Journal{}
		if err := j.fill(list); err != nil {
			return
		}
		var again []wireEntry
		if again, err = unpack(j.Wire()); err != nil && len(list) > 0 {
			t.Fatal(err)
		}
		if len(list) != len(again) {
			t.Errorf("%d entries, then %d", len(list), len(again))
		}
		for i := range again {
			if !json.Valid(again[i].Result) && len(again[i].Result) > 0 {
				t.Errorf("a result that is no JSON: %q", again[i].Result)
			}
		}
	})
}
