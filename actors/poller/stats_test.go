package poller

import (
	"reflect"
	"testing"
	"time"
)

// TestSumOfStats: no counter is left out, and of two times the one that says more is kept.
func TestSumOfStats(t *testing.T) {
	ones := func(v reflect.Value) {
		for _, f := range v.Fields() {
			if f.Kind() == reflect.Int64 {
				f.SetInt(1)
			}
		}
	}
	var a, b Stats
	for _, s := range []*Stats{&a, &b} {
		ones(reflect.ValueOf(s).Elem())
		ones(reflect.ValueOf(&s.Requests).Elem())
	}
	early, late := time.Unix(1, 0), time.Unix(2, 0)
	refusal := Refusal{Action: ActionSend, Queue: "sorry"}
	a.OldestLease, a.LastFailure, a.LastError, a.Refused = late, early, "before", []Refusal{refusal}
	b.OldestLease, b.LastFailure, b.LastError, b.Alive, b.Refused = early, late, "now", late, []Refusal{refusal, {Action: ActionDelete}}
	a.Add(&b)
	for _, v := range []reflect.Value{reflect.ValueOf(a), reflect.ValueOf(a.Requests)} {
		for field, f := range v.Fields() {
			if f.Kind() == reflect.Int64 && f.Int() != 2 {
				t.Errorf("%s is %d", field.Name, f.Int())
			}
		}
	}
	if a.OldestLease != early || a.Alive != late || a.LastFailure != late || a.LastError != "now" || len(a.Refused) != 2 {
		t.Errorf("%+v", a)
	}
}
