package poller

import (
	"errors"
	"strings"
	"testing"
)

func TestQueueNames(t *testing.T) {
	for _, good := range []string{"a", "mailer-tasks", "mailer_tasks_dead", "0", "orders.fifo", strings.Repeat("x", 80), strings.Repeat("x", 75) + ".fifo"} {
		if err := CheckQueueName(good); err != nil {
			t.Error(err)
		}
	}
	for _, bad := range []string{"", ".fifo", "Mailer", "a.b", "a b", "é", "a/b", "x.FIFO", "\x00", strings.Repeat("x", 81), strings.Repeat("x", 76) + ".fifo"} {
		if err := CheckQueueName(bad); !errors.Is(err, ErrQueueName) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if err := CheckQueueName("Mailer"); !strings.Contains(err.Error(), `"mailer"`) {
		t.Error("no suggestion:", err)
	}
}
