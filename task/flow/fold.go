package flow

import (
	"time"

	"github.com/google/uuid"
)

// received is one message of a message group, as the holder got it.
type received struct {
	part   *partial
	count  int       // of its receives
	sent   time.Time // by the queue's clock
	handle string
}

// decision is what becomes of the messages of one message group that came together: they
// are deleted after what takes their place was sent, or hidden for a time.
type decision struct {
	union *partial      // of them all
	whole bool          // it is the whole set: what follows is sent
	fold  bool          // the union takes their place
	drop  bool          // they are too old: nothing takes their place
	hide  time.Duration // none of these: until more have come
}

const (
	batchMost = 10                  // messages of one receive
	foldFrom  = 8                   // of one message group, that are worth the three requests of a fold
	foldMixed = 4                   // the same where the receive was full: there may be more behind them
	hideMost  = 60 * time.Second    // a group that waits is looked at so often at least
	refresh   = 7 * 24 * time.Hour  // age at which a message is sent again, before its queue drops it
	keep      = 90 * 24 * time.Hour // age at which a group is given up
)

// decide says what becomes of messages of one message group; full is whether the receive had
// as many as one can have. Pure.
func decide(msgs []received, full bool, now time.Time) decision {
	d := decision{union: &partial{Group: msgs[0].part.Group, Shard: msgs[0].part.Shard}}
	newest, oldest := msgs[0].count, msgs[0].sent
	for _, m := range msgs {
		d.union.union(m.part)
		if since := m.sent.Unix(); d.union.Since == 0 || since < d.union.Since {
			d.union.Since = since
		}
		newest = min(newest, m.count)
		if m.sent.Before(oldest) {
			oldest = m.sent
		}
	}
	d.whole = d.union.whole()
	age, since := now.Sub(oldest), now.Sub(time.Unix(d.union.Since, 0))
	enough := len(msgs) >= foldFrom || full && len(msgs) >= foldMixed
	switch {
	case d.whole:
	case since > keep:
		d.drop = true
	case enough, age > refresh && d.union.worthKeeping():
		d.fold = true
	default:
		// A group that has had nothing new for long is looked at less often: after a third of
		// the looks in seconds, about a tenth of the time that it has waited.
		d.hide = min(max(time.Duration(newest/3)*time.Second, time.Second), hideMost)
	}
	return d
}

// worthKeeping reports whether p is more than one report, which may be a duplicate that came
// after its group was joined: that is left to the retention of the queue.
func (p *partial) worthKeeping() bool {
	return p.Head != nil || p.Size > 0 || len(p.Sums) > 0 || p.ended(shardSize) > 1
}

// next makes the messages that take the place of a union: itself, the summary of a whole
// shard, or what follows a whole group.
func (d decision) next(queue string, now time.Time) *builder {
	u := d.union
	b := &builder{now: now}
	switch {
	case d.fold:
		b.outs = append(b.outs, u.message(queue, uuid.NewString()))
	case d.whole && u.Shard > 0:
		p := partial{Group: u.Group, Sums: map[int]sum{u.Shard: u.sum()}, Since: u.Since}
		b.outs = append(b.outs, p.message(queue, uuid.NewString()))
	case d.whole:
		o := u.outcome()
		b.origin = u.Head.Origin
		ok := !u.Head.All || o.Failed == 0
		b.say(false, "a group is joined", "group", o.Group, "members", o.Members, "done", o.Done, "failed", o.Failed)
		b.advance(u.Head.Place, u.Group, ok, true, o.json())
	}
	return b
}
