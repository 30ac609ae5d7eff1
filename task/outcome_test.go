package task_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/sambatech/chassis/task"
)

// A body with NaN in it, as Python's json writes it, is a dead letter: its error
// said "invalid character 'N'" alone.
func TestNaNInABodyIsNotExplained(t *testing.T) {
	type args struct{ Rate float64 }
	h := task.Erase(func(context.Context, task.Job[args]) error { t.Error("it ran"); return nil })
	for _, body := range []string{`{"rate": NaN}`, `{"rate": Infinity}`, `{"rate": -Infinity}`, `[NaN]`} {
		err := h(t.Context(), task.Job[json.RawMessage]{Info: &task.Info{}, Args: json.RawMessage(body)})
		if err == nil || !strings.Contains(err.Error(), "NaN and Infinity are no JSON") {
			t.Errorf("%s: %v", body, err)
		}
		m := task.Message{Body: body}
		if err := m.CheckBody(); err == nil || !strings.Contains(err.Error(), "NaN and Infinity are no JSON") {
			t.Errorf("%s: %v", body, err)
		}
	}
	if err := h(t.Context(), task.Job[json.RawMessage]{Info: &task.Info{}, Args: json.RawMessage(`{"rate": x}`)}); err == nil || strings.Contains(err.Error(), "NaN") {
		t.Errorf("another mistake: %v", err)
	}
}
