package addresses

import "sync/atomic"

// Stats are the counts of an address since it was made.
type Stats struct {
	Inbox     string `json:"inbox,omitempty"` // the name of its queue; empty without one
	Asked     int64  `json:"asked"`
	Answered  int64  `json:"answered"`
	Abandoned int64  `json:"abandoned"` // questions that their ctx ended
	Dropped   int64  `json:"dropped"`   // answers that came too late, or twice
	Garbage   int64  `json:"garbage"`   // messages that are no letters
	Posted    int64  `json:"posted"`    // notices, each once
	Taken     int64  `json:"taken"`     // notices that came
	Swept     int64  `json:"swept"`     // inboxes of dead processes that were removed
	Lost      int64  `json:"lost"`      // inboxes of this process that others removed
}

type counts struct {
	asked, answered, abandoned, dropped, garbage, posted, taken, swept, lost atomic.Int64
}

// Stats may be called from any goroutine.
func (a *Addresses) Stats() Stats {
	c := &a.core.counts
	s := Stats{Asked: c.asked.Load(), Answered: c.answered.Load(), Abandoned: c.abandoned.Load(),
		Dropped: c.dropped.Load(), Garbage: c.garbage.Load(), Posted: c.posted.Load(), Taken: c.taken.Load(),
		Swept: c.swept.Load(), Lost: c.lost.Load()}
	if at := a.core.at.Load(); at != nil {
		s.Inbox = at.name
	}
	return s
}
