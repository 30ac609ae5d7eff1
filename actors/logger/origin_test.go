package logger

import (
	"context"
	"log/slog"
	"strings"
	"testing"

	"github.com/sambatech/chassis/task"
)

// A line for people does not say "unknown" twice; the JSON forms keep both fields,
// which the log index of the Python chassis has too.
func TestTheTextFormLeavesOutAnUnknownJob(t *testing.T) {
	for name, c := range map[string]struct {
		ctx  context.Context
		text string // what stands behind the service
		json map[string]any
	}{
		"no job":  {context.Background(), "", map[string]any{"job_id": "unknown", "job_name": "unknown"}},
		"no ctx":  {nil, "", map[string]any{"job_id": "unknown", "job_name": "unknown"}},
		"origin":  {task.WithOrigin(context.Background(), "r-1", "GET /"), ` job_id=r-1 job_name="GET /"`, map[string]any{"job_id": "r-1", "job_name": "GET /"}},
		"no name": {task.WithOrigin(context.Background(), "r-1", ""), " job_id=r-1", map[string]any{"job_id": "r-1", "job_name": "unknown"}},
		"task without a job": {task.WithInfo(context.Background(), &task.Info{Task: "welcome", ExecID: "e"}), " exec_id=e task=welcome",
			map[string]any{"job_id": "unknown", "job_name": "unknown", "exec_id": "e"}},
		"origin in a task": {task.WithOrigin(task.WithInfo(context.Background(), &task.Info{Task: "welcome", JobID: "j", Attempt: 2}), "sub", "part"),
			" job_id=sub job_name=part task=welcome attempt=2", map[string]any{"job_id": "sub", "job_name": "part", "attempt": 2.0}},
	} {
		out := &sink{}
		newLogger(t, Settings{Format: FormatText, Source: "off"}, out).Slog().InfoContext(c.ctx, "m")
		if _, got, _ := strings.Cut(strings.TrimSuffix(out.String(), "\n"), "service=mailer"); got != c.text {
			t.Errorf("%s: text %q, want %q", name, got, c.text)
		}
		for _, form := range []Format{FormatJSON, FormatStackdriver} {
			out := &sink{}
			newLogger(t, Settings{Format: form, Source: "off"}, out).Slog().InfoContext(c.ctx, "m")
			for k, v := range c.json {
				if got := out.last(t)[k]; got != v {
					t.Errorf("%s, %s: %s = %v, want %v", name, form, k, got, v)
				}
			}
		}
	}
}

func TestNamesJobs(t *testing.T) {
	l := newLogger(t, Settings{}, &sink{})
	if !NamesJobs(l.Named("a").With("b", 1).WithGroup("c").Handler()) || NamesJobs(slog.DiscardHandler) {
		t.Error("the handler of a Logger is not known from others")
	}
}
