package store

import (
	"cmp"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"

	"go.etcd.io/bbolt"

	"github.com/sambatech/chassis/queue/localsqs/internal/engine"
)

// Load gives everything in the file to e.
func (f *File) Load(e *engine.Engine, now int64) error {
	err := guard(func() error {
		return f.db.View(func(tx *bbolt.Tx) error { return load(tx, e, now) })
	})
	if err != nil {
		return fmt.Errorf("queue file %s: %w", f.path, err)
	}
	return nil
}

func load(tx *bbolt.Tx, e *engine.Engine, now int64) error {
	queues := tx.Bucket(queueBucket)
	meta := tx.Bucket(metaBucket)
	e.RestoreCounters(meta.Sequence(), int64(queues.Sequence()))
	if latest := meta.Get(timeKey); len(latest) == 8 { // a file of before has none
		e.RestoreTime(now, int64(binary.BigEndian.Uint64(latest)))
	}
	if err := queues.ForEach(func(k, v []byte) error {
		var record engine.QueueRecord
		if err := json.Unmarshal(v, &record); err != nil {
			return fmt.Errorf("%w: queue %x: %w", ErrCorrupt, k, err)
		}
		q, refused := e.RestoreQueue(&record)
		if refused != nil {
			return fmt.Errorf("%w: queue %s: %w", ErrCorrupt, record.Name, refused)
		}
		if b := tx.Bucket(name('m', record.ID)); b != nil {
			if err := b.ForEach(func(k, v []byte) error {
				meta, err := parseMeta(v)
				if err != nil || len(k) != 8 {
					return fmt.Errorf("%w: message %x of queue %s: %w", ErrCorrupt, k, record.Name, err)
				}
				e.RestoreMessage(now, q, binary.BigEndian.Uint64(k), &meta)
				return nil
			}); err != nil {
				return err
			}
		}
		return loadDedup(tx.Bucket(name('d', record.ID)), e, now, q)
	}); err != nil {
		return err
	}
	return tx.Bucket(taskBucket).ForEach(func(k, v []byte) error {
		var task engine.MoveTask
		if err := json.Unmarshal(v, &task); err != nil {
			return fmt.Errorf("%w: move task %x: %w", ErrCorrupt, k, err)
		}
		e.RestoreTask(now, &task)
		return nil
	})
}

func loadDedup(b *bbolt.Bucket, e *engine.Engine, now int64, q *engine.Queue) error {
	if b == nil {
		return nil
	}
	type entry struct {
		key   string
		first engine.Sent
		end   int64
	}
	var all []entry
	if err := b.ForEach(func(k, v []byte) error {
		id, seq, end, err := parseDedup(v)
		if err != nil {
			return fmt.Errorf("%w: deduplication id %q of queue %s: %w", ErrCorrupt, k, q.Name, err)
		}
		all = append(all, entry{string(k), engine.Sent{ID: id, Seq: seq}, end})
		return nil
	}); err != nil {
		return err
	}
	slices.SortFunc(all, func(a, b entry) int { return cmp.Compare(a.end, b.end) })
	for _, d := range all {
		e.RestoreDedup(now, q, d.key, d.first, d.end)
	}
	return nil
}
