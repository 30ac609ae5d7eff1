package localsqs

import (
	"github.com/google/uuid"

	"github.com/sambatech/chassis/queue/localsqs/internal/engine"
	"github.com/sambatech/chassis/queue/localsqs/internal/wire"
)

const maxBatch = 10

func newRequestID() string { return uuid.NewString() }

func (c *call) input(entry *wire.SendEntry) (*engine.SendInput, *engine.Error) {
	content, err := entry.Content(c.sender, c.trace)
	if err != nil {
		return nil, err
	}
	return &engine.SendInput{ID: uuid.New(), Content: content, Delay: entry.Delay(), Group: entry.Group()}, nil
}

func (s *Server) sendMessage(c *call) *engine.Error {
	var r wire.SendMessage
	if err := wire.Decode(c.body, &r); err != nil {
		return err
	}
	in, err := c.input(&r.SendEntry)
	if err != nil {
		return err
	}
	result := wire.SendResult{Content: in.Content, Traced: len(r.MessageSystemAttributes) > 0}
	if err := s.with(c, r.QueueUrl, func(now int64, e *engine.Engine, q *engine.Queue) *engine.Error {
		if err := q.CheckSend(in); err != nil {
			return err
		}
		result.Sent = e.Send(now, q, in)
		return nil
	}); err != nil {
		return err
	}
	c.answer = append(wire.AppendSent([]byte{'{'}, &result), '}')
	return nil
}

// checkBatch checks the ids of a batch of n entries; given is false if the
// request has no list of them.
func (c *call) checkBatch(n int, given bool, entry string, id func(int) string) *engine.Error {
	if !given {
		return engine.MissingParameter("Entries")
	}
	if n == 0 {
		return engine.EmptyBatch(entry)
	}
	if n > maxBatch {
		return engine.TooManyEntries(n)
	}
	for i := range n {
		if id(i) == "" && wire.WithoutID(c.body, i) {
			return engine.MissingEntryParameter(entry, i+1, "Id")
		}
		if !engine.ValidName(id(i)) {
			return engine.InvalidBatchID()
		}
		for j := range i {
			if id(j) == id(i) {
				return engine.RepeatedID(id(i))
			}
		}
	}
	return nil
}

func (s *Server) sendBatch(c *call) *engine.Error {
	var r wire.SendMessageBatch
	if err := wire.Decode(c.body, &r); err != nil {
		return err
	}
	if err := c.checkBatch(len(r.Entries), r.Entries != nil, "SendMessageBatchRequestEntry",
		func(i int) string { return r.Entries[i].Id }); err != nil {
		return err
	}
	var (
		inputs  [maxBatch]*engine.SendInput
		errs    [maxBatch]*engine.Error
		results [maxBatch]wire.SendResult
		size    int
	)
	for i := range r.Entries {
		if r.Entries[i].MessageBody == "" {
			errs[i] = engine.MissingEntryParameter("SendMessageBatchRequestEntry", i+1, "MessageBody")
		} else if inputs[i], errs[i] = c.input(&r.Entries[i]); errs[i] == nil {
			size += inputs[i].Content.Size()
		}
	}
	if size > engine.MaxBatchBytes {
		return engine.BatchTooLong(engine.MaxBatchBytes, size)
	}
	if err := s.with(c, r.QueueUrl, func(now int64, e *engine.Engine, q *engine.Queue) *engine.Error {
		for i := range r.Entries {
			if err := q.CheckFIFO(r.Entries[i].Group(), r.Entries[i].DedupID()); err != nil {
				return err.InBatch()
			}
		}
		for i := range r.Entries {
			if errs[i] == nil {
				errs[i] = q.CheckSend(inputs[i])
			}
			if errs[i] == nil {
				results[i].Sent = e.Send(now, q, inputs[i])
			}
		}
		return nil
	}); err != nil {
		return err
	}
	batch := wire.NewBatch(make([]byte, 0, 256*len(r.Entries)))
	for i := range r.Entries {
		if errs[i] != nil {
			batch.Failed(r.Entries[i].Id, errs[i].InBatch())
			continue
		}
		results[i].ID, results[i].Content = r.Entries[i].Id, inputs[i].Content
		results[i].Traced = len(r.Entries[i].MessageSystemAttributes) > 0
		batch.Sent(&results[i])
	}
	c.answer = batch.Bytes()
	return nil
}

func (s *Server) deleteMessage(c *call) *engine.Error {
	var r wire.ReceiptRequest
	if err := wire.Decode(c.body, &r); err != nil {
		return err
	}
	c.empty()
	return s.with(c, r.QueueUrl, func(now int64, e *engine.Engine, q *engine.Queue) *engine.Error {
		return deleteOne(now, e, q, &r.ReceiptEntry)
	})
}

func deleteOne(_ int64, e *engine.Engine, q *engine.Queue, r *wire.ReceiptEntry) *engine.Error {
	if r.ReceiptHandle == "" {
		return engine.MissingParameter("ReceiptHandle")
	}
	return e.Delete(q, r.ReceiptHandle)
}

func (s *Server) changeVisibility(c *call) *engine.Error {
	var r wire.ReceiptRequest
	if err := wire.Decode(c.body, &r); err != nil {
		return err
	}
	c.empty()
	return s.with(c, r.QueueUrl, func(now int64, e *engine.Engine, q *engine.Queue) *engine.Error {
		return changeOne(now, e, q, &r.ReceiptEntry)
	})
}

func changeOne(now int64, e *engine.Engine, q *engine.Queue, r *wire.ReceiptEntry) *engine.Error {
	if r.ReceiptHandle == "" {
		return engine.MissingParameter("ReceiptHandle")
	}
	if r.VisibilityTimeout == nil {
		return engine.MissingParameter("VisibilityTimeout")
	}
	return e.ChangeVisibility(now, q, r.ReceiptHandle, *r.VisibilityTimeout)
}

func (s *Server) deleteBatch(c *call) *engine.Error {
	return s.receiptBatch(c, "DeleteMessageBatchRequestEntry", false, deleteOne)
}

func (s *Server) changeVisibilityBatch(c *call) *engine.Error {
	return s.receiptBatch(c, "ChangeMessageVisibilityBatchRequestEntry", true, changeOne)
}

func (s *Server) receiptBatch(c *call, entry string, changes bool,
	one func(int64, *engine.Engine, *engine.Queue, *wire.ReceiptEntry) *engine.Error) *engine.Error {
	var r wire.ReceiptBatch
	if err := wire.Decode(c.body, &r); err != nil {
		return err
	}
	if err := c.checkBatch(len(r.Entries), r.Entries != nil, entry,
		func(i int) string { return r.Entries[i].Id }); err != nil {
		return err
	}
	var errs [maxBatch]*engine.Error
	if err := s.with(c, r.QueueUrl, func(now int64, e *engine.Engine, q *engine.Queue) *engine.Error {
		for i := range r.Entries {
			if r.Entries[i].VisibilityTimeout == nil && changes {
				errs[i] = engine.MissingEntryParameter(entry, i+1, "VisibilityTimeout")
				continue
			}
			errs[i] = one(now, e, q, &r.Entries[i])
		}
		return nil
	}); err != nil {
		return err
	}
	batch := wire.NewBatch(make([]byte, 0, 64*len(r.Entries)))
	for i := range r.Entries {
		if errs[i] != nil {
			batch.Failed(r.Entries[i].Id, errs[i].InBatch())
		} else {
			batch.Done(r.Entries[i].Id)
		}
	}
	c.answer = batch.Bytes()
	return nil
}

// within reads an optional number of a range.
func within(v *int64, def, least, most int64, name, reason string) (int64, *engine.Error) {
	if v == nil {
		return def, nil
	}
	if *v < least || *v > most {
		return 0, engine.InvalidParameter(*v, name, reason)
	}
	return *v, nil
}

func (s *Server) receive(c *call) *engine.Error {
	var r wire.ReceiveMessage
	if err := wire.Decode(c.body, &r); err != nil {
		return err
	}
	selection, err := r.Selection()
	if err != nil {
		return err
	}
	w := &engine.Waiter{Attempt: c.attempt, Retry: c.retry}
	if id := r.ReceiveRequestAttemptId; id != "" {
		if len(id) > 128 {
			return engine.InvalidParameter(id, "ReceiveRequestAttemptId",
				"ReceiveRequestAttemptId can only include alphanumeric and punctuation characters. 1 to 128 in "+
					"length.")
		}
		w.Attempt, w.Explicit = "ReceiveRequestAttemptId "+id, true
	}
	most, err := within(r.MaxNumberOfMessages, 1, 1, maxBatch, "MaxNumberOfMessages",
		"Must be between 1 and 10, if provided.")
	if err != nil {
		return err
	}
	w.Max = int(most)
	if w.Visibility, err = within(r.VisibilityTimeout, -1, 0, engine.MaxVisibility, "VisibilityTimeout",
		"Must be >= 0 and <= 43200, if provided."); err != nil {
		return err
	}
	if w.Wait, err = within(r.WaitTimeSeconds, -1, 0, engine.MaxWait, "WaitTimeSeconds",
		"Must be >= 0 and <= 20, if provided."); err != nil {
		return err
	}
	if err := s.writable(); err != nil {
		return err
	}
	if err := s.lookAt(c, r.QueueUrl, func(now int64, e *engine.Engine, q *engine.Queue) *engine.Error {
		w.Queue = q
		if w.Explicit && !q.FIFO() {
			return engine.InvalidParameter(r.ReceiveRequestAttemptId, "ReceiveRequestAttemptId",
				"The request include parameter that is not valid for this queue type.")
		}
		if !e.Receive(now, w) {
			w.Ready = make(chan struct{})
		}
		return w.Err
	}); err != nil {
		return err
	}
	if w.Ready != nil {
		if c.body = nil; c.release != nil {
			c.release()
		}
		if err := s.await(c, w); err != nil {
			return err
		}
	}
	if err := s.fetch(w); err != nil {
		return err
	}
	c.buffer = s.answers.buffer(answerSize(w.Messages))
	c.answer = wire.AppendMessages(*c.buffer, w.Messages, &selection, s.engine)
	*c.buffer = c.answer
	return nil
}

// await waits for the answer of a long poll. If its caller leaves before, the
// messages that it may have been given stay in flight, as with AWS.
func (s *Server) await(c *call, w *engine.Waiter) *engine.Error {
	select {
	case <-w.Ready:
		return w.Err
	case <-recallOf(c.ctx):
		return s.recall(w)
	case <-c.ctx.Done():
	}
	s.mu.Lock()
	s.engine.Cancel(w)
	s.leave()
	return &engine.Error{Shape: "RequestCanceled", Code: "RequestCanceled", Message: "The client left.", Status: 499}
}

// fetch reads the contents that are not in memory. A message that is not in the
// store either was deleted meanwhile, by an older receipt handle.
func (s *Server) fetch(w *engine.Waiter) *engine.Error {
	there := w.Messages[:0]
	for _, m := range w.Messages {
		if m.Content == nil {
			content, err := s.store.Content(m.Queue, m.Seq)
			if err != nil {
				s.cfg.logger.Error("the queue file cannot be read", "file", s.cfg.path, "error", err)
				return s.storeFailed("read", err)
			}
			if content == nil {
				continue
			}
			m.Content = content
		}
		there = append(there, m)
	}
	w.Messages = there
	return nil
}

func answerSize(list []engine.Received) int {
	n := 64
	for i := range list {
		n += list[i].Content.Size() + 48*len(list[i].Content.Attrs) + 640
	}
	return n
}
