package store

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"github.com/sambatech/chassis/queue/localsqs/internal/engine"
)

// apply makes changes in one transaction, all or none: those of the journal up
// to its group number. open says whether the journal goes on.
func (f *File) apply(changes []engine.Change, number uint64, open bool) error {
	update := func(tx *bbolt.Tx) error {
		w := writer{tx: tx, buckets: map[bucketKey]*bbolt.Bucket{}}
		for i := range changes {
			if err := w.apply(&changes[i]); err != nil {
				return err
			}
		}
		meta := tx.Bucket(metaBucket)
		if err := meta.Put(journalKey, journalRecord(number, open)); err != nil {
			return err
		}
		if w.lastSeq > meta.Sequence() {
			return meta.SetSequence(w.lastSeq)
		}
		return nil
	}
	return guard(func() error { return f.db.Update(update) })
}

// writer is one transaction being filled.
type writer struct {
	tx      *bbolt.Tx
	buf     []byte
	buckets map[bucketKey]*bbolt.Bucket
	lastSeq uint64
}

type bucketKey struct {
	kind  byte
	queue int64
}

// bucket finds or makes a queue's bucket. Messages come in the order of their
// keys, so pages are filled up.
func (w *writer) bucket(kind byte, queue int64) (*bbolt.Bucket, error) {
	k := bucketKey{kind, queue}
	if b := w.buckets[k]; b != nil {
		return b, nil
	}
	b, err := w.tx.CreateBucketIfNotExists(name(kind, queue))
	if err != nil {
		return nil, err
	}
	if kind != 'd' {
		b.FillPercent = 0.95
	}
	w.buckets[k] = b
	return b, nil
}

func (w *writer) put(kind byte, queue int64, k, v []byte) error {
	b, err := w.bucket(kind, queue)
	if err != nil {
		return err
	}
	return b.Put(k, v)
}

func (w *writer) remove(kind byte, queue int64, k []byte) error {
	b, err := w.bucket(kind, queue)
	if err != nil {
		return err
	}
	return b.Delete(k)
}

func (w *writer) drop(queue int64, kinds string) error {
	for _, kind := range []byte(kinds) {
		delete(w.buckets, bucketKey{kind, queue})
		if err := w.tx.DeleteBucket(name(kind, queue)); err != nil && !errors.Is(err, berrors.ErrBucketNotFound) {
			return err
		}
	}
	return nil
}

// meta is c's record. The transaction holds on to it until it is written.
func (w *writer) meta(c *engine.Change) []byte {
	return w.piece(128+len(c.Meta.Group), func(b []byte) []byte { return appendMeta(b, &c.Meta) })
}

func (w *writer) content(c *engine.Content) []byte {
	return w.piece(128+len(c.Sender)+len(c.Trace)+len(c.DedupID)+c.Size(),
		func(b []byte) []byte { return appendContent(b, c) })
}

// piece is what f appends, some size of bytes, in a buffer that it shares.
func (w *writer) piece(size int, f func([]byte) []byte) []byte {
	if cap(w.buf)-len(w.buf) < size {
		w.buf = make([]byte, 0, max(size, 256<<10))
	}
	from := len(w.buf)
	w.buf = f(w.buf)
	return w.buf[from:len(w.buf):len(w.buf)]
}

func (w *writer) apply(c *engine.Change) error {
	switch c.Kind {
	case engine.MessagePut, engine.MessageMove, nothing:
		w.lastSeq = max(w.lastSeq, c.Seq)
	}
	switch c.Kind {
	case nothing:
		return nil
	case engine.QueuePut:
		v, err := json.Marshal(c.Record)
		if err != nil {
			return err
		}
		b := w.tx.Bucket(queueBucket)
		if uint64(c.Queue) > b.Sequence() {
			if err := b.SetSequence(uint64(c.Queue)); err != nil {
				return err
			}
		}
		return b.Put(key(uint64(c.Queue)), v)
	case engine.QueueGone:
		if err := w.tx.Bucket(queueBucket).Delete(key(uint64(c.Queue))); err != nil {
			return err
		}
		return w.drop(c.Queue, "mbd")
	case engine.QueuePurged:
		return w.drop(c.Queue, "mbd")
	case engine.MessagePut:
		k := key(c.Seq)
		if err := w.put('b', c.Queue, k, w.content(c.Content)); err != nil {
			return err
		}
		return w.put('m', c.Queue, k, w.meta(c))
	case engine.MessageMeta:
		return w.put('m', c.Queue, key(c.Seq), w.meta(c))
	case engine.MessageGone:
		k := key(c.Seq)
		if err := w.remove('b', c.Queue, k); err != nil {
			return err
		}
		return w.remove('m', c.Queue, k)
	case engine.MessageMove:
		return w.move(c)
	case engine.DedupPut:
		return w.put('d', c.Queue, []byte(c.Name), appendDedup(nil, c))
	case engine.TaskPut:
		v, err := json.Marshal(c.Task)
		if err != nil {
			return err
		}
		return w.tx.Bucket(taskBucket).Put(key(c.Seq), v)
	case engine.TaskGone:
		return w.tx.Bucket(taskBucket).Delete(key(c.Seq))
	case engine.TimePut:
		return w.tx.Bucket(metaBucket).Put(timeKey, appendInt(nil, c.Due))
	case engine.DedupGone:
		return w.remove('d', c.Queue, []byte(c.Name))
	}
	return fmt.Errorf("unknown change %d", c.Kind)
}

func (w *writer) move(c *engine.Change) error {
	from, err := w.bucket('b', c.From)
	if err != nil {
		return err
	}
	var v []byte
	if c.Content != nil {
		v = w.content(c.Content)
	} else if v = bytes.Clone(from.Get(key(c.FromSeq))); v == nil {
		return fmt.Errorf("message %d, to be moved, has no content", c.FromSeq)
	}
	if err := errors.Join(from.Delete(key(c.FromSeq)), w.remove('m', c.From, key(c.FromSeq))); err != nil {
		return err
	}
	if err := w.put('b', c.Queue, key(c.Seq), v); err != nil {
		return err
	}
	return w.put('m', c.Queue, key(c.Seq), w.meta(c))
}
