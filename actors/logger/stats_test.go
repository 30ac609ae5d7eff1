package logger

import (
	"bytes"
	"encoding/json"
	"errors"
	"testing"
	"time"
)

func TestStatsAndSettingsAreJSON(t *testing.T) {
	out := &sink{}
	l := newLogger(t, Settings{Levels: map[string]Level{"a": "debug"}}, out)
	system := newSystem(t, l)
	pid, err := l.Start(system)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Start(system); !errors.Is(err, ErrStarted) {
		t.Errorf("a second Start says %v", err)
	}
	l.Slog().Error("m")
	res, err := system.Root.RequestFuture(pid, &Describe{}, 5*time.Second).Result()
	if err != nil {
		t.Fatal(err)
	}
	s := res.(Stats)
	if !s.Running || s.Outputs[0].Written != 1 || s.Levels["a"] != "DEBUG" || s.Levels[""] != "INFO" {
		t.Errorf("stats: %+v", s)
	}
	raw, err := json.Marshal(s)
	if err != nil || !bytes.Contains(raw, []byte(`"accepted":1,"written":1,"dropped":0,"pending":0`)) {
		t.Errorf("%s, %v", raw, err)
	}
	stop(t, l)
	if l.Stats().Running {
		t.Error("a stopped logger says that it runs")
	}
}
