package schedules

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/sambatech/chassis/task"
	"github.com/sambatech/chassis/task/cron"
)

// state is how far one schedule has been decided by this process.
type state struct {
	decided  time.Time // all ticks up to here, by their due times, since own; zero: the process starts
	own      time.Time // from here on this process has decided all by itself
	known    bool      // what was before own is decided too
	floor    time.Time // nothing before it is late; zero: by the register alone
	measured bool      // its times are the service's; else of our own clock, for no answer has come yet
}

// measure returns st by the clock of the service, which is ahead of our own.
func (st state) measure(ahead time.Duration) state {
	if st.measured {
		return st
	}
	for _, t := range []*time.Time{&st.decided, &st.own, &st.floor} {
		if !t.IsZero() {
			*t = t.Add(ahead)
		}
	}
	st.measured = true
	return st
}

// plan is what a round sends for one schedule.
type plan struct {
	ticks  []cron.Tick // in their order
	late   int         // of them, the first so many
	missed int
	state  state // once they are sent
}

// judgement is how well the register is known to a round.
type judgement int

const (
	unread judgement = iota // it could not be read this time
	read                    // it was
	barred                  // it may not be read, and has refused for a while
)

// decide returns what is to be sent at now. said is what the register says. Pure.
//
// A process that starts sends the ticks of the last minute again, unless the schedule is
// newer than that: they have the ids that they had, so SQS takes none twice. So a tick that
// falls between the end of one process and the begin of the next is not lost.
func decide(s cron.Schedule, st state, said entry, by judgement, now time.Time) plan {
	if st.decided.IsZero() {
		st.decided, st.own = now, now
	}
	next := st
	next.decided = now
	if st.known && (s.Late() == cron.Never || now.Sub(st.decided) <= cron.Fresh || by == barred) {
		return planOf(s.Decide(st.decided, now), next, time.Time{}, time.Time{})
	}
	switch by {
	case barred: // nothing is known of the others
		next.known = true
		if st.floor.IsZero() {
			return planOf(s.Decide(st.own.Add(-cron.Fresh), now), next, st.own, st.decided)
		}
		return planOf(s.Decide(st.decided, now), next, time.Time{}, time.Time{})
	case read:
		from, own, upTo := said.sent, st.own, st.decided
		if s.Late() == cron.Never {
			from = time.Time{} // it is in no tag
		}
		if st.known { // it was suspended, or the queue was away
			from = laterOf(from, st.decided)
			own, upTo = time.Time{}, time.Time{}
		}
		if from.IsZero() {
			from = st.own.Add(-cron.Fresh)
		}
		if !st.known && st.floor.IsZero() { // the process has started
			from = laterOf(from, said.since)
		}
		from = laterOf(from, st.floor)
		next.known, next.own = true, now
		return planOf(s.Decide(from, now), next, own, upTo)
	}
	// What is old waits for the register. What is fresh does not.
	from := laterOf(st.decided, now.Add(-cron.Fresh).Add(-1))
	if st.known {
		next.known, next.floor = false, st.decided
	}
	if st.known || from.After(st.decided) { // what lies between was not sent
		next.own = from
	}
	return planOf(s.Decide(from, now), next, time.Time{}, time.Time{})
}

// planOf leaves out the ticks that are due after own and not after upTo: they were sent.
func planOf(d cron.Due, next state, own, upTo time.Time) plan {
	sent := func(t cron.Tick) bool { return t.Due.After(own) && !t.Due.After(upTo) }
	late := slices.DeleteFunc(d.Late, sent)
	fresh := slices.DeleteFunc(d.Fresh, sent)
	return plan{ticks: slices.Concat(late, fresh), late: len(late), missed: d.Missed, state: next}
}

func laterOf(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// round looks at all schedules once, and sends what is due. It runs apart from the actor.
type round struct {
	core  *core
	jobs  []*Job
	state map[string]state
	cache *reading
	tags  pending
}

// reading is what the register has said, and when.
type reading struct {
	entries entries
	known   known
	met     bool      // the schedules of this process are among them
	keys    int       // tags of the queue, those of others too
	tidied  bool      // and what is stale among them was removed
	at      time.Time // by the local clock
	by      judgement
	err     error
	refused time.Time // by the local clock, since when each answer is a refusal; zero: none is
}

// keepReading is how long an answer of the register is good for what an operator may
// change. What was missed is judged by a new one.
const keepReading = 5 * time.Second

// readTimeout bounds a question to the register: ticks do not wait longer for it.
const readTimeout = 2 * time.Second

// sendTimeout bounds the send of a round.
const sendTimeout = 5 * time.Second

func (r *round) run(ctx context.Context) (results map[string]result, said reading) {
	c := r.core
	said = r.look(ctx)
	results = map[string]result{}
	type place struct {
		name string
		tick cron.Tick
	}
	var outs []*task.Outgoing
	var places []place
	tags := maps.Clone(r.tags.tags)
	if tags == nil {
		tags = map[string]string{}
	}
	inSpan, endSpan := ctx, func([]error) {}
	ahead, measured := c.clock.measured()
	now := c.clock.local().Add(ahead)
	if measured {
		for name, st := range r.state {
			r.state[name] = st.measure(ahead)
		}
	}
	said.known, said.met = r.meet(said, tags, now), true
	for _, job := range r.jobs {
		name := job.Schedule.Name()
		entry := said.entries[name]
		if said.by == read {
			entry.since = said.known[job.print]
		}
		p := decide(job.Schedule, r.state[name], entry, said.by, now)
		res := result{job: job, state: p.state, missed: p.missed, late: p.late,
			paused: job.Schedule.Paused() || !entry.paused.IsZero()}
		newest := newestOf(p, entry.sent)
		if res.paused {
			res.late, p.ticks = 0, nil
		}
		if len(p.ticks) > 0 && len(outs) == 0 && c.cfg.Span != nil {
			inSpan, endSpan = c.cfg.Span(ctx)
		}
		for _, tick := range p.ticks {
			out, err := c.encode(job, tick, task.FromContext(inSpan))
			if err != nil { // it was encoded before: its arguments have changed
				res.err = err
				continue
			}
			outs, places = append(outs, out), append(places, place{name, tick})
		}
		if job.Schedule.Late() != cron.Never && said.by == read {
			// New ones get an entry at once: a fleet that is down from now on has missed what follows.
			if newest.After(entry.sent) {
				tags[tagPrefix+name] = unixText(newest)
			}
		}
		results[name] = res
	}
	if len(outs) == 0 {
		endSpan(nil)
	} else {
		if late := c.clock.now().Sub(now); late > cron.Fresh/2 { // suspended since: look again
			err := fmt.Errorf("schedules: %v have passed between the decision and the send", late)
			endSpan([]error{err})
			return r.untouched(err), said
		}
		send, cancel := context.WithTimeout(inSpan, sendTimeout)
		defer cancel()
		errs := c.send(send, outs)
		endSpan(errs)
		for i, err := range errs {
			res := results[places[i].name]
			switch {
			case err != nil && res.err == nil: // those after it wait, too: a group has an order
				res.err = err
				res.state = r.state[places[i].name]
				res.late, res.missed = 0, 0
				if key := tagPrefix + places[i].name; tags[key] != "" {
					delete(tags, key)
					if n := len(res.sent); n > 0 {
						tags[key] = unixText(res.sent[n-1].Due)
					}
				}
			case err == nil && res.err == nil:
				res.sent = append(res.sent, places[i].tick)
			}
			results[places[i].name] = res
		}
	}
	r.tags.tags = tags
	c.register.tidy(ctx, said, r.jobs, now)
	said.tidied = true
	if local := c.clock.local(); r.tags.due(local) {
		r.tags.last = local
		err := c.register.write(ctx, tags)
		if err != nil {
			c.complain(err, "what is missed while the fleet is down cannot be known")
		}
		if err == nil || refused(err) {
			r.tags.tags = nil
		}
	}
	return results, said
}

// meet returns the schedules that the fleet knows with those of this process. It adds to tags
// what is to be written where some are new.
func (r *round) meet(said reading, tags map[string]string, now time.Time) known {
	if said.by != read || said.met || len(r.jobs) > maxKnown {
		return said.known
	}
	own := make([]string, len(r.jobs))
	for i, j := range r.jobs {
		own[i] = j.print
	}
	all, grown := said.known.join(own, now)
	if grown {
		maps.Copy(tags, all.tags(now))
	}
	return all
}

// newestOf is the due time of the newest tick that the fleet has decided with p. sent is
// what the register says of it; zero: nothing yet.
func newestOf(p plan, sent time.Time) time.Time {
	switch n := len(p.ticks); {
	case n > 0:
		return p.ticks[n-1].Due
	case sent.IsZero():
		return p.state.decided
	case p.missed > 0:
		return p.state.decided.Add(-cron.Fresh)
	}
	return time.Time{}
}

func (r *round) untouched(err error) map[string]result {
	results := map[string]result{}
	for _, job := range r.jobs {
		results[job.Schedule.Name()] = result{job: job, state: r.state[job.Schedule.Name()], err: err}
	}
	return results
}

// look reads the register, unless what was read last is good enough.
func (r *round) look(ctx context.Context) reading {
	c := r.core
	now := c.clock.local()
	sure := c.clock.sure()
	if sure && r.cache.by == barred && now.Sub(r.cache.at).Abs() < barredFor {
		return *r.cache
	}
	if sure && r.cache.by == read && now.Sub(r.cache.at).Abs() < keepReading && !r.old() {
		return *r.cache
	}
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	said, err := c.register.read(ctx)
	switch {
	case err == nil:
		said.at, said.by = now, read
		return said
	case refused(err):
		said = r.cache.refuse(now, err)
		if said.by == barred {
			c.complain(err, "schedules cannot be paused by an operator, and nothing is sent of what was missed while "+
				"the fleet was down")
		}
		return said
	}
	return reading{at: now, by: unread, err: err, entries: r.cache.entries, refused: r.cache.refused}
}

const (
	// barredFor is how long a refusal of the register counts.
	barredFor = 10 * time.Minute
	// believeAfter is how long the register has refused when the right to read it is taken to be
	// missing. New rights and new credentials are refused for a while. Of what a process that starts
	// sends from the last minute, the fleet's word decides, as long as it may still come.
	believeAfter = cron.Fresh / 3
)

// refuse returns what is known once the register has refused at now, by the local clock.
func (last reading) refuse(now time.Time, err error) reading {
	since := last.refused
	if since.IsZero() {
		since = now
	}
	if now.Sub(since).Abs() < believeAfter {
		return reading{at: now, by: unread, err: err, entries: last.entries, refused: since}
	}
	return reading{at: now, by: barred, err: err, refused: since}
}

// old reports whether a schedule has ticks that others may have sent long ago.
func (r *round) old() bool {
	now := r.core.clock.now()
	return slices.ContainsFunc(r.jobs, func(j *Job) bool {
		st := r.state[j.Schedule.Name()]
		return !st.known || j.Schedule.Late() != cron.Never && now.Sub(st.decided) > cron.Fresh
	})
}

// encode makes the message of a tick.
func (c *core) encode(job *Job, tick cron.Tick, opts ...task.Option) (*task.Outgoing, error) {
	s := job.Schedule
	id, group := s.ID(c.cfg.Pool, tick), s.Name()
	if s.Overlap() == cron.Allow {
		group = s.JobID(tick)
	}
	return task.Encode(job.Task, job.Args, tick.Due, append(opts, task.Pool(c.cfg.Pool), task.Group(group),
		task.Dedup(id), task.ExecID(id), task.At(tick.Due), task.ForJob(s.JobID(tick), s.Name()))...)
}
