package task_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/sambatech/chassis/task"
)

func TestBehindIsCheckedByTheDefinition(t *testing.T) {
	spec := task.NewSpec("t", task.Behind("https://mail.internal/v1/messages"), task.Behind("http://chat.internal:8080"))
	if want := []string{"https://mail.internal/v1/messages", "http://chat.internal:8080"}; spec.Err() != nil || !slices.Equal(spec.Behind, want) {
		t.Errorf("behind %q, error %v", spec.Behind, spec.Err())
	}
	for service, want := range map[string]string{
		"":                               "no scheme or no host",
		"mail.internal":                  "no scheme or no host",
		"/v1/messages":                   "no scheme or no host",
		"https:///v1":                    "no scheme or no host",
		"https://mail.internal?to=ann":   "a query",
		"https://ann:key@mail.internal/": "a user",
		"https://[::1":                   "no URL",
		"https://ann:key@[::1":           "no URL",
	} {
		err := task.NewSpec("t", task.Behind(service)).Err()
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "want a URL like") || strings.Contains(err.Error(), "key") {
			t.Errorf("Behind(%q): %v", service, err)
		}
	}
}

func TestCallsOfAnAttempt(t *testing.T) {
	info := &task.Info{}
	ctx := task.WithOrigin(task.WithInfo(context.Background(), info), "1", "spring")
	if info.FailedCall() != "" || task.Paced(ctx, "https://mail.internal") {
		t.Error("an attempt begins with a call")
	}
	task.NoteFailedCall(context.Background(), "https://mail.internal", "/v1") // no task: nothing
	task.NoteFailedCall(ctx, "https://mail.internal", "/v1/messages")
	if got := info.FailedCall(); got != "https://mail.internal/v1/messages" {
		t.Errorf("the failed call is %q", got)
	}
	info.Pace([]string{"https://mail.internal/v1", "https://chat.internal"})
	for service, want := range map[string]bool{"https://mail.internal": true, "https://chat.internal": true, "https://mail.inter": false, "https://sms.internal": false} {
		if task.Paced(ctx, service) != want {
			t.Errorf("paced for %s: %v", service, !want)
		}
	}
	if task.Paced(context.Background(), "https://mail.internal") {
		t.Error("a call of no task is paced")
	}
}
