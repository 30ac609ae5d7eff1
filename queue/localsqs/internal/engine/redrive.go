package engine

// checkRedrive returns what is wrong with a redrive policy for the queue source
// with the attributes a.
func (e *Engine) checkRedrive(source Key, a *attributes, r *redrive) *Error {
	if r == nil {
		return nil
	}
	refuse := func(reason string) *Error {
		return InvalidParameter(a.raw["RedrivePolicy"], "RedrivePolicy", reason)
	}
	target := e.queues[r.Target]
	switch {
	case r.Target == source: // of no effect: SQS takes it, and the message stays
		return nil
	case target == nil || e.arn(r.Target) != r.ARN:
		return refuse("Dead letter target does not exist.")
	case r.Target.Region != source.Region:
		return refuse("Dead letter target must be in the same region as the source.")
	case target.attrs.fifo != a.fifo:
		return refuse("Dead-letter queue must be same type of queue as the source.")
	case !target.attrs.allow.allows(e.arn(source)):
		return refuse("Queue " + e.arn(source) +
			" is not allowed by the RedriveAllowPolicy of the dead letter target.")
	}
	return nil
}

// move takes an available message to another queue: a new place in the order,
// the same MessageId. Its receives start at 0 for the policy of to; a
// receiver sees those of all queues (ApproximateReceiveCount in the API
// reference), until a move task makes it a new message. Its SentTimestamp, from which
// its retention runs, stays in a standard queue and is reset in a FIFO queue
// (SQS developer guide, "Setting-up dead-letter queue retention").
// Once it has left its queue, renew may change it.
func (e *Engine) move(now int64, m *Message, to *Queue, origin *Key, renew func()) {
	from, seq, name := m.group.queue, m.Seq, m.group.name
	e.remove(m)
	if renew != nil {
		renew()
	}
	if to.attrs.fifo {
		m.Sent = now
	}
	if m.before += m.receives; origin == nil {
		m.before = 0
	}
	e.lastSeq++
	m.Seq, m.origin, m.receives, m.first, m.received = e.lastSeq, origin, 0, 0, 0
	e.insert(to, m, name)
	e.enqueue(m, now, now)
	e.recordMove(m, from, seq)
}

// Sources are the names of the queues that name q as their dead-letter queue.
func (e *Engine) Sources(q *Queue, after string, limit int) (names []string, more bool) {
	for _, s := range e.queues {
		if r := s.attrs.redrive; r != nil && r.Target == q.Key && s.Name > after {
			names = append(names, s.Name)
		}
	}
	return page(names, limit)
}

// OriginARN is the ARN of the queue that a dead-lettered message came from.
func (e *Engine) OriginARN(k *Key) string { return e.arn(*k) }
