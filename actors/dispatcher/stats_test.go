package dispatcher

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"
)

// TestJSONOfStats: the admin API and the command line read them.
func TestJSONOfStats(t *testing.T) {
	s := Stats{Status: Failing, Held: 2, Tasks: []TaskStats{{Name: "welcome", Held: 3,
		Run: Durations{Count: 4, Sum: 6 * time.Second, P50: 1500 * time.Millisecond, P99: time.Microsecond}}}}
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	var back Stats
	if err := json.Unmarshal(text, &back); err != nil || !reflect.DeepEqual(s, back) {
		t.Errorf("%s is read as %+v: %v", text, back, err)
	}
	var status Status
	if err := status.UnmarshalText([]byte("ASLEEP")); err == nil {
		t.Error("an unknown status is read as", status)
	}
}

// TestJSONOfAnEvent: its durations are seconds.
func TestJSONOfAnEvent(t *testing.T) {
	text, err := json.Marshal(&Event{Kind: Held, Task: "welcome", Took: 1500 * time.Millisecond, Wait: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	if got["kind"] != "held" || got["task"] != "welcome" || got["took_seconds"] != 1.5 || got["wait_seconds"] != 60.0 {
		t.Errorf("%s", text)
	}
}
