package effects

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path"
	"strings"

	"github.com/sambatech/chassis/task"
)

// Doer makes requests to a queue. *http.Client is one.
type Doer interface {
	Do(*http.Request) (*http.Response, error)
}

// Queue returns the way to a queue that records the tasks that are sent, by next. A
// dead process gets no request through, and no answer. own reports whether a task is
// the process's own business and no effect: a copy of the message that it runs.
func (f *Recorder) Queue(next Doer, own func(execID string) bool) Doer {
	return &queue{f, next, own}
}

type queue struct {
	effects *Recorder
	next    Doer
	own     func(execID string) bool
}

// outgoing is a message in a request of the protocol.
type outgoing struct {
	ID                     string `json:"Id"`
	QueueURL               string `json:"QueueUrl"`
	MessageBody            string
	MessageDeduplicationID string `json:"MessageDeduplicationId"`
	MessageAttributes      map[string]struct{ StringValue string }
	Entries                []outgoing
}

// Do implements [Doer].
func (q *queue) Do(r *http.Request) (resp *http.Response, err error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, fmt.Errorf("effects: read a request to the queue: %w", err)
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	_, action, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	if err := q.effects.Alive(r.Context()); err != nil {
		return q.farewell(r, action, body, err)
	}
	sent, err := q.sends(action, body)
	if err != nil {
		return nil, err
	}
	if len(sent) == 0 {
		resp, err = q.next.Do(r)
	} else {
		err = q.effects.Perform(r.Context(), sent, func() (err error) {
			if resp, err = q.next.Do(r); err == nil { //nolint:bodyclose // the caller's
				err = q.refused(resp, sent)
			}
			return err
		})
		if errors.Is(err, errRefused) {
			err = nil // the answer says so
		}
	}
	dead := q.effects.Alive(r.Context())
	if err = errors.Join(dead, err); err != nil && resp != nil {
		_ = resp.Body.Close() // nothing reads it
	}
	switch {
	case dead != nil:
		return q.farewell(r, action, body, dead)
	case err != nil:
		return nil, err
	}
	return resp, nil
}

// farewell answers a dead process once the world is over. What it ends is said to be
// done, or its system would try for seconds before it stops.
func (q *queue) farewell(r *http.Request, action string, body []byte, err error) (*http.Response, error) {
	select {
	case <-q.effects.over:
	default:
		return nil, err
	}
	if action == "ReceiveMessage" {
		return nil, err
	}
	type entry struct {
		ID        string `json:"Id"`
		MessageID string `json:"MessageId"`
	}
	var m struct {
		Entries    []entry `json:",omitempty"`
		MessageID  string  `json:"MessageId"`
		Successful []entry
	}
	if failed := json.Unmarshal(body, &m); failed != nil {
		return nil, errors.Join(err, failed)
	}
	m.Successful, m.Entries, m.MessageID = m.Entries, nil, "none"
	for i := range m.Successful {
		m.Successful[i].MessageID = m.MessageID
	}
	answer, failed := json.Marshal(m)
	if failed != nil {
		return nil, errors.Join(err, failed)
	}
	return &http.Response{Status: "200 OK", StatusCode: http.StatusOK, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"Content-Type": {"application/x-amz-json-1.0"}}, Request: r,
		Body: io.NopCloser(bytes.NewReader(answer)), ContentLength: int64(len(answer))}, nil
}

// sends reads the tasks that a request sends.
func (q *queue) sends(action string, body []byte) ([]*Effect, error) {
	if action != "SendMessage" && action != "SendMessageBatch" {
		return nil, nil
	}
	var m outgoing
	if err := json.Unmarshal(body, &m); err != nil {
		return nil, fmt.Errorf("effects: a request to the queue: %w", err)
	}
	if action == "SendMessage" {
		m.Entries = []outgoing{m}
	}
	early := q.effects.uncommitted()
	var all []*Effect
	for _, one := range m.Entries {
		id := one.MessageAttributes[task.AttrExecID].StringValue
		name := one.MessageAttributes[task.AttrName].StringValue
		if q.own(id) {
			continue
		}
		all = append(all, &Effect{
			Kind: Send, Name: fmt.Sprintf("send task %q to pool %q", name, path.Base(m.QueueURL)), Key: id,
			Dedup: one.MessageDeduplicationID, Detail: digest([]byte(one.MessageBody)), Process: q.effects.process,
			id: one.ID, Early: early,
		})
	}
	return all, nil
}

// errRefused says that a queue has taken none of a request.
var errRefused = errors.New("effects: refused by the queue")

// refused reads which tasks the queue has not taken.
func (q *queue) refused(resp *http.Response, sent []*Effect) error {
	if resp.StatusCode != http.StatusOK {
		return errRefused
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	var answer struct {
		Failed []struct{ ID, Code string }
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return err
	}
	q.effects.log.change(func() {
		for _, failed := range answer.Failed {
			for _, e := range sent {
				if e.id == failed.ID {
					e.Err = fmt.Errorf("effects: the queue refused it: %s", failed.Code)
				}
			}
		}
	})
	return nil
}

// uncommitted reports whether the process has changed something in a transaction that
// is open.
func (f *Recorder) uncommitted() bool {
	f.mu.Lock()
	conns := make([]*conn, 0, len(f.conns))
	for c := range f.conns {
		conns = append(conns, c)
	}
	f.mu.Unlock()
	var open []*transaction
	for _, c := range conns {
		c.mu.Lock()
		if c.open != nil {
			open = append(open, c.open)
		}
		c.mu.Unlock()
	}
	changed := false
	f.log.change(func() {
		for _, tx := range open {
			changed = changed || tx.changed
		}
	})
	return changed
}
