package outbox

import (
	"cmp"
	"fmt"
	"time"
)

// Settings are those of a [Relay]. The zero value of a field is its default.
type Settings struct {
	// Poll is how often a relay looks for rows that nothing has woken it for. Default
	// 250 ms, and 5 s with a listener.
	Poll time.Duration
	// Batch is the number of rows that one pass takes, 1 to 1000. Default 100: ten
	// requests of ten messages at once.
	Batch int
	// Bytes bounds the messages of one pass in memory; one message is always taken.
	// Default 4 MiB.
	Bytes int
	// SendTimeout bounds the sending of one pass, within which its transaction is open.
	// Default 15 s, at most 1 min.
	SendTimeout time.Duration
	// MaxTries is how often a row alone may fail until it is set aside. Failures of a
	// whole pool do not count. Default 10.
	MaxTries int
	// Retention is how long the notes of [Box.Once] are kept. It must be longer than any
	// message can come back: 14 days on its queue, and 14 more as a dead letter. Default
	// 30 days, at least 1 h.
	Retention time.Duration
	// SweepEvery is how often old notes are deleted. Default 10 min.
	SweepEvery time.Duration
}

// withDefaults fills in the defaults. listens says that something wakes the relay.
func (s Settings) withDefaults(listens bool) Settings {
	poll := 250 * time.Millisecond
	if listens {
		poll = 5 * time.Second
	}
	s.Poll = cmp.Or(s.Poll, poll)
	s.Batch = cmp.Or(s.Batch, 100)
	s.Bytes = cmp.Or(s.Bytes, 4<<20)
	s.SendTimeout = cmp.Or(s.SendTimeout, 15*time.Second)
	s.MaxTries = cmp.Or(s.MaxTries, 10)
	s.Retention = cmp.Or(s.Retention, 30*24*time.Hour)
	s.SweepEvery = cmp.Or(s.SweepEvery, 10*time.Minute)
	return s
}

// check returns what is wrong with settings that have their defaults.
func (s Settings) check() error {
	switch {
	case s.Poll < time.Millisecond:
		return fmt.Errorf("outbox: Poll is %v: at least 1ms", s.Poll)
	case s.Batch < 1 || s.Batch > 1000:
		return fmt.Errorf("outbox: Batch is %d: 1 to 1000", s.Batch)
	case s.Bytes < 1:
		return fmt.Errorf("outbox: Bytes is %d: at least 1", s.Bytes)
	case s.SendTimeout < time.Millisecond || s.SendTimeout > time.Minute:
		return fmt.Errorf("outbox: SendTimeout is %v: 1ms to 1m", s.SendTimeout)
	case s.MaxTries < 1:
		return fmt.Errorf("outbox: MaxTries is %d: at least 1", s.MaxTries)
	case s.Retention < time.Hour:
		return fmt.Errorf("outbox: Retention is %v: at least 1h", s.Retention)
	case s.SweepEvery < time.Second:
		return fmt.Errorf("outbox: SweepEvery is %v: at least 1s", s.SweepEvery)
	}
	return nil
}
