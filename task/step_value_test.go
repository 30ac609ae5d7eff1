package task

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"
)

type amount int

func (a amount) MarshalText() ([]byte, error) { return []byte("many"), nil }

type currency string

type plainPrice struct {
	Cents    int64    `json:"cents"`
	Currency currency `json:"currency,omitempty"`
	Rate     float64
	Paid     bool
	By       struct{ Name string }
}

// TestShapes says which types are kept as values: those of which JSON gives back an equal
// value, and which no other can change.
func TestShapes(t *testing.T) {
	for _, c := range []struct {
		value any // a pointer
		same  bool
	}{
		{new(plainPrice), true}, {new(int), true}, {new(string), true}, {new(bool), true}, {new(uint8), true},
		{new(float32), true}, {new(struct{}), true}, {new(currency), true},
		{new([]int), false}, {new(map[string]int), false}, {new(*int), false}, {new(any), false}, {new([2]int), false},
		{new(error), false}, {new(func()), false}, {new(chan int), false}, {new(complex64), false}, {new(uintptr), false},
		{new(time.Time), false}, {new(amount), false}, {new(json.Number), false}, {new(json.RawMessage), false},
		{new(struct{ A amount }), false}, {new(struct{ A, b int }), false}, {new(struct{ A []byte }), false},
		{new(struct {
			A int `json:"-"`
		}), false},
		{new(struct {
			A int `json:",string"`
		}), false},
		{new(struct {
			A float64 `json:",omitempty"` // -0 would come back as 0
		}), false},
		{new(struct {
			A int `json:"x"`
			B int `json:"X"`
		}), false},
		{new(struct{ plainPrice }), false},
		{new(struct {
			A int `json:"a b"`
		}), false},
	} {
		if s := shapeOf(reflect.TypeOf(c.value).Elem()); s.same != c.same {
			t.Errorf("%T: kept as a value: %v", c.value, s.same)
		}
	}
}

// FuzzShape: a value that is kept as it is, is what JSON gives back, within its bound.
func FuzzShape(f *testing.F) {
	f.Add(int64(1250), "EUR", 1.5, true, "Zoë \u2028 <b>")
	f.Add(int64(math.MinInt64), "\xff", math.Inf(1), false, "\x00\x01\x02\u007f")
	f.Add(int64(0), "", math.Copysign(0, -1), false, "")
	f.Fuzz(func(t *testing.T, cents int64, cur string, rate float64, paid bool, name string) {
		v := plainPrice{Cents: cents, Currency: currency(cur), Rate: rate, Paid: paid}
		v.By.Name = name
		bound, same := shapeOf(reflect.TypeOf(v)).bound(&v)
		text, err := json.Marshal(v)
		var back plainPrice
		if err == nil {
			err = json.Unmarshal(text, &back)
		}
		equal := err == nil && back == v && math.Signbit(back.Rate) == math.Signbit(v.Rate)
		if same && (!equal || len(text) > bound) {
			t.Errorf("%+v is kept as it is, within %d bytes; JSON: %s, %+v, %v", v, bound, text, back, err)
		}
		if !same && equal {
			t.Errorf("%+v is not kept as it is, and JSON gives it back", v)
		}
	})
}

// TestAResultIsJSONWhenItIsLookedAt: by a copy of the message, by the page, by another type.
func TestAResultIsJSONWhenItIsLookedAt(t *testing.T) {
	handler := func(ctx context.Context) error {
		got, err := Step(ctx, "price", func(context.Context) (plainPrice, error) { return plainPrice{Cents: 7}, nil })
		if err != nil || got.Cents != 7 {
			t.Errorf("%+v, %v", got, err)
		}
		return errDown
	}
	want := `{"cents":7,"Rate":0,"Paid":false,"By":{"Name":""}}`
	for _, look := range []func(x *execution){
		func(*execution) {},
		func(x *execution) { x.journal.Wire() },
		func(x *execution) {
			if list, _ := x.journal.List(5); len(list) != 1 || list[0].Bytes != len(want) {
				t.Errorf("the page shows %+v, want %d bytes", list, len(want))
			}
		},
	} {
		x := &execution{}
		for range 3 {
			_ = x.attempt(false, handler)
			look(x)
		}
		_ = x.attempt(false, func(ctx context.Context) error {
			p, err := BeginStep(ctx, "price")
			if err != nil {
				t.Fatal(err)
			}
			if data, ok := p.Result(); !ok || string(data) != want {
				t.Errorf("the result is %s, %v", data, ok)
			}
			p.End()
			return nil
		})
		_ = x.attempt(false, func(ctx context.Context) error {
			got, err := Step(ctx, "price", func(context.Context) (map[string]any, error) { return nil, nil })
			if err != nil || got["cents"] != 7.0 {
				t.Errorf("as another type: %v, %v", got, err)
			}
			return nil
		})
		if wire := string(x.journal.Wire()); !strings.Contains(wire, `"cents": 7`) && !strings.Contains(wire, want) {
			t.Errorf("a copy carries %s", wire)
		}
	}
}

// TestTheLimitOfAJournalIsThatOfItsJSON: bounds of values that are not encoded yet do not
// count against it.
func TestTheLimitOfAJournalIsThatOfItsJSON(t *testing.T) {
	x := &execution{}
	part := strings.Repeat("x", MaxJournal/4-100) // six times as much at most
	err := x.attempt(false, func(ctx context.Context) error {
		for range 4 {
			if _, err := Step(ctx, "part", func(context.Context) (string, error) { return part, nil }); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Errorf("four quarters: %v", err)
	}
	err = x.attempt(false, func(ctx context.Context) error {
		for range 5 {
			if _, err := Step(ctx, "part", func(context.Context) (string, error) { return part, nil }); err != nil {
				return err
			}
		}
		return nil
	})
	if !errors.Is(err, ErrJournalFull) {
		t.Errorf("a fifth: %v", err)
	}
}

// TestAResultThatJSONChangesIsChangedAtOnce: as for one that is encoded.
func TestAResultThatJSONChangesIsChangedAtOnce(t *testing.T) {
	x := &execution{}
	for range 2 {
		_ = x.attempt(false, func(ctx context.Context) error {
			got, err := Step(ctx, "text", func(context.Context) (string, error) { return "a\xff", nil })
			if err != nil || got != "a\ufffd" {
				t.Errorf("%q, %v", got, err)
			}
			return errDown
		})
	}
	err := x.attempt(false, func(ctx context.Context) error {
		_, _ = Step(ctx, "text", func(context.Context) (string, error) { return "", nil })
		_, err := Step(ctx, "rate", func(context.Context) (plainPrice, error) { return plainPrice{Rate: math.NaN()}, nil })
		return err
	})
	if !errors.Is(err, ErrNotEncodable) {
		t.Errorf("NaN: %v", err)
	}
}

// TestAResultThatOthersChangeStays: a slice, a map or a pointer is encoded at once.
func TestAResultThatOthersChangeStays(t *testing.T) {
	x, shared := &execution{}, []int{1, 2}
	for range 2 {
		_ = x.attempt(false, func(ctx context.Context) error {
			got, err := Step(ctx, "list", func(context.Context) ([]int, error) { return shared, nil })
			shared[0] = 9
			if err != nil || got[0] != 1 {
				t.Errorf("%v, %v", got, err)
			}
			return errDown
		})
	}
}
