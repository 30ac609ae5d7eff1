package dispatcher

import (
	"strings"
	"testing"
	"time"

	"github.com/sambatech/chassis/actors/poller"
)

func TestReview(t *testing.T) {
	n := needs{retention: 96 * time.Hour, size: 1 << 20, failures: 10}
	good := poller.QueueAttributes{Retention: 96 * time.Hour, MaxMessageSize: 1 << 20}
	dead := poller.QueueAttributes{Retention: DeadLetterRetention, MaxMessageSize: 1 << 20}
	with := func(a poller.QueueAttributes, change func(*poller.QueueAttributes)) poller.QueueAttributes {
		change(&a)
		return a
	}
	for _, c := range []struct {
		name string
		role role
		a    poller.QueueAttributes
		want string // of each finding a word, in their order
	}{
		{"the pool's, as it is made", roleOwn, good, ""},
		{"the dead letters', as it is made", roleDead, dead, ""},
		{"nothing is known", roleOwn, poller.QueueAttributes{}, ""},
		{"a redrive policy that takes a task after its third receive", roleOwn,
			with(good, func(a *poller.QueueAttributes) { a.MaxReceives = 3 }), "maxReceiveCount"},
		{"a redrive policy one receive too low", roleOwn, with(good, func(a *poller.QueueAttributes) { a.MaxReceives = 13 }), "maxReceiveCount"},
		{"a redrive policy for what crashes for ever", roleOwn, with(good, func(a *poller.QueueAttributes) { a.MaxReceives = 14 }), ""},
		{"dead letters that are redriven", roleDead, with(dead, func(a *poller.QueueAttributes) { a.MaxReceives = 1000 }), "RedrivePolicy"},
		{"keeps an hour", roleOwn, with(good, func(a *poller.QueueAttributes) { a.Retention = time.Hour }), "MessageRetentionPeriod"},
		{"keeps longer", roleOwn, with(good, func(a *poller.QueueAttributes) { a.Retention = 336 * time.Hour }), ""},
		{"dead letters of four days", roleDead, with(dead, func(a *poller.QueueAttributes) { a.Retention = 96 * time.Hour }), "1209600"},
		{"the pool takes 256 KiB: sends are checked", roleOwn, with(good, func(a *poller.QueueAttributes) { a.MaxMessageSize = 1 << 18 }), ""},
		{"dead letters of 256 KiB", roleDead, with(dead, func(a *poller.QueueAttributes) { a.MaxMessageSize = 1 << 18 }), "MaximumMessageSize"},
		{"on_fail of 256 KiB that keeps an hour", roleOnFail,
			with(good, func(a *poller.QueueAttributes) { a.MaxMessageSize, a.Retention = 1<<18, time.Hour }), "MaximumMessageSize"},
		{"FIFO as AWS makes it", roleOwn, with(good, func(a *poller.QueueAttributes) { a.FIFO = true }), "FifoThroughputLimit"},
		{"FIFO as it is made", roleOwn, with(good, func(a *poller.QueueAttributes) { a.FIFO, a.HighThroughput = true, true }), ""},
		{"all at once", roleDead, poller.QueueAttributes{MaxReceives: 1, Retention: time.Minute, MaxMessageSize: 1024, FIFO: true},
			"RedrivePolicy 1209600 MaximumMessageSize FifoThroughputLimit"},
	} {
		t.Run(c.name, func(t *testing.T) {
			found := review(c.role, c.a, n)
			want := strings.Fields(c.want)
			if len(found) != len(want) {
				t.Fatalf("found %v, want %d findings", found, len(want))
			}
			for i, f := range found {
				text := f.text
				for _, a := range f.args {
					if s, ok := a.(string); ok {
						text += " " + s
					}
				}
				if !strings.Contains(text, want[i]) {
					t.Errorf("finding %q does not name %s", text, want[i])
				}
			}
		})
	}
}
