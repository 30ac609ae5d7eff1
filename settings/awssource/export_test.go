package awssource

import (
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// NewWithin is New with an interval below the least.
func NewWithin(cfg aws.Config, interval time.Duration) *Store {
	s := New(cfg, Settings{})
	s.settings.Interval = interval
	return s
}
