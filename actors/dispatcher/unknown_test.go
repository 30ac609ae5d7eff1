package dispatcher

import (
	"fmt"
	"testing"
	"time"
)

func TestAnUnknownNameWaitsInFewSteps(t *testing.T) {
	for _, tc := range []struct {
		most       int
		delay      time.Duration
		deliveries int
	}{{50, 10 * time.Second, 12}, {5, 10 * time.Second, 5}, {1, 10 * time.Second, 2}, {50, 10 * time.Minute, 51}, {50, 15 * time.Minute, 51}} {
		waited, deliveries := 0, 1
		for waited < tc.most {
			n := unknownDelays(waited, tc.most, tc.delay)
			if n < 1 || time.Duration(n)*tc.delay > 15*time.Minute || n > unknownMost || waited+n > tc.most {
				t.Fatalf("%+v: after %d delays it waits for %d", tc, waited, n)
			}
			waited += n
			deliveries++
		}
		if deliveries != tc.deliveries {
			t.Errorf("%+v: %d deliveries", tc, deliveries)
		}
	}
}

func TestAFloodOfUnknownNamesIsLoggedNowAndThen(t *testing.T) {
	var u unknownNames
	now := time.Unix(1000, 0)
	log := func(name string) (int, bool) { return u.log(name, now) }
	if muted, ok := log("a"); !ok || muted != 0 {
		t.Error("the first message is not logged")
	}
	if _, ok := log("b"); ok {
		t.Error("a second name in the same second is logged")
	}
	now = now.Add(time.Second)
	if _, ok := log("a"); ok {
		t.Error("a name is logged twice")
	}
	if muted, ok := log("b"); !ok || muted != 1 {
		t.Errorf("a second later: %v, with %d that were not", ok, muted)
	}
	lines := 0
	for i := range 100_000 {
		now = now.Add(10 * time.Millisecond)
		if _, ok := log(fmt.Sprint("name", i)); ok {
			lines++
		}
	}
	if lines < 98 || lines > 98+15+1 || len(u.logged) != unknownNamesMost {
		t.Errorf("%d lines in 1 000 s, %d names known", lines, len(u.logged))
	}
	now = now.Add(unknownAge)
	for i := range 10 { // the names of the flood have made room: each new name has its line
		now = now.Add(unknownEvery)
		if _, ok := log(fmt.Sprint("later", i)); !ok {
			t.Errorf("name %d of an hour later is not logged", i)
		}
	}
	if _, ok := log("name5"); ok || len(u.logged) > 10+1 {
		t.Errorf("%d names known an hour later", len(u.logged))
	}
	now = now.Add(unknownEvery)
	if _, ok := log("name5"); !ok {
		t.Error("a name of the flood is not logged an hour later")
	}
}
