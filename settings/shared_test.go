package settings_test

import (
	"reflect"
	"testing"

	"github.com/sambatech/chassis/settings"
)

type tasksOnly struct {
	Tasks struct{ Workers int }
}

func TestSharedLeavesOthersKeysButNotMisspellings(t *testing.T) {
	source := settings.Bytes("a.yaml", settings.YAML, []byte("taks: {workers: 4}\nrecipients: [a]\n"))
	env := settings.Environ("APP", []string{"APP_TASK__WORKERS=1", "APP_OTHER__THING=1"})
	_, err := settings.Load(tasksOnly{}, source, env, settings.Shared())
	want := []string{
		"APP_TASK__WORKERS: task.workers: unknown setting; did you mean APP_TASKS__WORKERS?",
		"a.yaml:1:1: taks: unknown key; did you mean tasks?",
	}
	if got := mistakes(t, err); !reflect.DeepEqual(got, want) {
		t.Errorf("got %q", got)
	}
	if _, err := settings.Load(tasksOnly{}, source, env, settings.Shared("taks", "task")); err != nil {
		t.Error(err)
	}
	_, err = settings.Load(tasksOnly{}, source, env)
	if got := mistakes(t, err); len(got) != 4 {
		t.Errorf("without Shared all are errors, got %q", got)
	}
}

func TestUnclaimedListsKeysThatNoLayoutKnows(t *testing.T) {
	tree, err := settings.Open(settings.Bytes("a.yaml", settings.YAML, []byte("tasks: {workers: 4}\nrecipient: [a]\nother: 1\n")))
	if err != nil {
		t.Fatal(err)
	}
	type own struct{ Recipients []string }
	if _, err := settings.Decode(tree, tasksOnly{}, settings.Shared()); err != nil {
		t.Fatal(err)
	}
	if _, err := settings.Decode(tree, own{}, settings.Shared("recipient")); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"a.yaml:2:1: recipient: no layout knows this key; did you mean recipients?",
		"a.yaml:3:1: other: no layout knows this key",
	}
	if got := mistakes(t, tree.Unclaimed()); !reflect.DeepEqual(got, want) {
		t.Errorf("got %q", got)
	}
}
