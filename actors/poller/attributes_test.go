package poller

import (
	"testing"
	"time"
)

func TestParseAttributes(t *testing.T) {
	for _, c := range []struct {
		name string
		raw  map[string]string
		want QueueAttributes
	}{
		{"nothing", nil, QueueAttributes{}},
		{"a standard queue", map[string]string{"MessageRetentionPeriod": "3600", "MaximumMessageSize": "262144", "DelaySeconds": "5"},
			QueueAttributes{Retention: time.Hour, MaxMessageSize: 256 << 10, Delay: 5 * time.Second}},
		{"a redrive policy", map[string]string{"RedrivePolicy": `{"deadLetterTargetArn":"arn:x","maxReceiveCount":3}`},
			QueueAttributes{RedriveTo: "arn:x", MaxReceives: 3}},
		{"a redrive policy with a string for its number", map[string]string{"RedrivePolicy": `{"maxReceiveCount":"7","deadLetterTargetArn":"arn:x"}`},
			QueueAttributes{RedriveTo: "arn:x", MaxReceives: 7}},
		{"FIFO as it is made by default", map[string]string{"FifoQueue": "true", "DeduplicationScope": "queue", "FifoThroughputLimit": "perQueue"},
			QueueAttributes{FIFO: true}},
		{"FIFO by message group", map[string]string{"FifoQueue": "True", "DeduplicationScope": "messageGroup", "FifoThroughputLimit": "perMessageGroupId"},
			QueueAttributes{FIFO: true, HighThroughput: true}},
		{"garbage", map[string]string{"MessageRetentionPeriod": "-1", "MaximumMessageSize": "much", "RedrivePolicy": "{", "FifoQueue": "no"},
			QueueAttributes{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := parseAttributes(c.raw); got != c.want {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
		})
	}
}
