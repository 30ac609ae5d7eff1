package poller

import "sync/atomic"

// SenderStats are counts since the sender was made. JSON-able; a value of its
// own that does not change any more.
type SenderStats struct {
	Sent     int64 `json:"sent"`     // messages that SQS took
	Refused  int64 `json:"refused"`  // messages that were given back with an error
	Pending  int64 `json:"pending"`  // messages that wait or are under way now
	Requests int64 `json:"requests"` // batch requests made, the SDK's own tries of one counted once
	Failures int64 `json:"failures"` // requests that failed as a whole, and look-ups of a queue
	Retries  int64 `json:"retries"`  // messages that were tried again
}

type senderCounts struct {
	sent, refused, pending, requests, failures, retries atomic.Int64
}

// Stats may be called from any goroutine.
func (s *Sender) Stats() SenderStats {
	return SenderStats{
		Sent: s.counts.sent.Load(), Refused: s.counts.refused.Load(), Pending: s.counts.pending.Load(),
		Requests: s.counts.requests.Load(), Failures: s.counts.failures.Load(), Retries: s.counts.retries.Load(),
	}
}
