package pools_test

import (
	"io"
	"strings"
	"testing"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/settings"
)

// A pool with a name of 76 to 80 characters cannot have dead letters, for which
// SQS would need a name of more than 80: that was said at the first dead letter.
func TestAPoolWithALongNameHasNoDeadLetters(t *testing.T) {
	name := func(n int) string { return strings.Repeat("p", n) }
	for _, c := range []struct {
		text string
		ok   bool
	}{
		{"tasks: {task_pool: " + name(75) + "}", true},
		{"tasks: {task_pool: " + name(76) + "}", false},
		{"tasks: {task_pool: " + name(80) + "}", false},
		{"tasks: {task_pool: " + name(80) + ", dead_letter_pool: dead}", true},
		{"tasks: {task_pool: " + name(70) + ".fifo}", true},
		{"tasks: {task_pool: " + name(71) + ".fifo}", false},
		{"tasks: {task_pool: p, pools: {" + name(76) + ": {}}}", false},
		{"tasks: {task_pool: p, pools: {" + name(76) + ": {dead_letter_pool: dead}}}", true},
	} {
		_, err := chassis.LoadSettings(settings.Bytes("a.yaml", settings.YAML, []byte(c.text)))
		if (err == nil) != c.ok || err != nil && (!strings.Contains(err.Error(), "dead_letter_pool") || strings.Count(err.Error(), "\n") > 0) {
			t.Errorf("%s: %v", c.text, err)
		}
	}
	code := chassis.DefaultSettings()
	code.Tasks.TaskPool = name(78)
	if _, err := chassis.New("mailer", chassis.WithSettings(code), chassis.WithLogOutput(io.Discard), chassis.WithoutDefaultLogger()); err == nil {
		t.Error("settings made in code are taken")
	}
}
