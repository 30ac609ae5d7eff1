package cron

import "time"

// Fresh is how long after its due time a tick is sent as any other. SQS takes a second
// message with one deduplication id as new five minutes after the first. So the
// processes of a fleet must not differ by more than that, and one that was suspended
// sends nothing old.
const Fresh = time.Minute

// Due is what is to be sent of the ticks up to a time.
type Due struct {
	Fresh  []Tick // not older than [Fresh]
	Late   []Tick // older, and to be sent by the policy
	Missed int    // older, and not to be sent; at least so many
}

// Decide returns what is to be sent of the ticks that are due after sent and not after
// now. sent is the newest tick that was sent, by its due time.
func (s Schedule) Decide(sent, now time.Time) Due {
	var d Due
	border := now.Add(-Fresh)
	if oldest := now.Add(-MaxLateAge); sent.Before(oldest) {
		sent = oldest
	}
	if sent.Before(border) {
		var old []Tick // the last ones, in a ring
		count, most := 0, s.late.ticks
		for t := range s.Ticks(sent, border.Add(-1)) {
			if count++; most == 0 {
				continue
			}
			if len(old) < most {
				old = append(old, t)
			} else {
				old[(count-1)%most] = t
			}
		}
		if most > 0 && count > most { // the oldest one stands at count%most
			old = append(old[count%most:], old[:count%most]...)
		}
		d.Late, d.Missed = old, count-len(old)
		sent = border.Add(-1)
	}
	for t := range s.Ticks(sent, now) {
		d.Fresh = append(d.Fresh, t)
	}
	if s.late == Once && len(d.Fresh) > 0 { // the last one is among them
		d.Missed += len(d.Late)
		d.Late = nil
	}
	return d
}
