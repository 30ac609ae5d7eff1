package dispatcher

import (
	"encoding/json"
	"fmt"
	"reflect"
	"testing"
	"time"
)

func TestDwellOfTenants(t *testing.T) {
	start := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	at := func(s int) time.Time { return start.Add(time.Duration(s) * time.Second) }
	var ds dwells
	if ds.top(start) != nil {
		t.Error("tenants out of nothing")
	}
	for i := range 12 {
		for range i + 1 {
			ds.note(fmt.Sprintf("t%02d", i), time.Duration(i)*time.Second, at(i))
		}
	}
	ds.note("t11", 99*time.Second, at(30))
	list := ds.top(at(40))
	if len(list) != topTenants+1 || list[0].Tenant != "t11" || list[0].Messages != 13 || list[0].Longest != 99*time.Second ||
		list[9].Tenant != "t02" || list[10] != (TenantStats{"", 3, time.Second * 2 / 3, time.Second}) {
		t.Errorf("top is %+v", list)
	}
	// The window before counts until the next has ended.
	ds.note("late", time.Millisecond, at(70))
	if list := ds.top(at(100)); list[0].Tenant != "t11" || list[10].Messages != 4 {
		t.Errorf("after a window: %+v", list)
	}
	if list := ds.top(at(131)); !reflect.DeepEqual(list, []TenantStats{{"late", 1, time.Millisecond, time.Millisecond}}) {
		t.Errorf("after two: %+v", list)
	}
	if list := ds.top(at(1000)); len(list) != 0 {
		t.Errorf("long after: %+v", list)
	}
	ds.note("back", 0, at(10)) // the clock has jumped
	if list := ds.top(at(11)); len(list) != 1 || list[0].Tenant != "back" {
		t.Errorf("after a jump: %+v", list)
	}
}

// TestDwellsAreBounded: any program may send to a queue, under any number of keys.
func TestDwellsAreBounded(t *testing.T) {
	var ds dwells
	now := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	for i := range 100_000 {
		ds.note(fmt.Sprint("tenant-", i), time.Second, now)
	}
	if len(ds.now) != mostDwells {
		t.Errorf("%d tenants are kept", len(ds.now))
	}
	var sum uint64
	for _, s := range ds.top(now) {
		sum += s.Messages
	}
	if sum != 100_000 {
		t.Errorf("%d messages are shown", sum)
	}
}

func TestDwellOfSeveralPools(t *testing.T) {
	one := []TenantStats{{"a", 2, 4 * time.Second, 5 * time.Second}, {"", 1, time.Second, time.Second}}
	two := []TenantStats{{"b", 1, time.Minute, time.Minute}, {"a", 2, 2 * time.Second, 3 * time.Second}}
	want := []TenantStats{{"b", 1, time.Minute, time.Minute}, {"a", 4, 3 * time.Second, 5 * time.Second}, {"", 1, time.Second, time.Second}}
	if got := sumTenants(one, two, nil); !reflect.DeepEqual(got, want) {
		t.Errorf("sum is %+v", got)
	}
}

func TestDwellAsJSON(t *testing.T) {
	s := TenantStats{"acme", 3, 1500 * time.Millisecond, 2 * time.Second}
	text, err := json.Marshal(s)
	if err != nil || string(text) != `{"tenant":"acme","messages":3,"dwell_seconds":1.5,"longest_seconds":2}` {
		t.Errorf("%s, %v", text, err)
	}
	var back TenantStats
	if err := json.Unmarshal(text, &back); err != nil || back != s {
		t.Errorf("%+v, %v", back, err)
	}
}
