package store

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime/debug"
	"slices"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"github.com/sambatech/chassis/localsqs/internal/engine"
)

const format = "localsqs 1"

var (
	metaBucket  = []byte("meta")
	queueBucket = []byte("queues")
	taskBucket  = []byte("moves")
	formatKey   = []byte("format")
	saltKey     = []byte("salt")
)

// ErrInUse says that another server has the file open.
var ErrInUse = errors.New("the file is in use by another server")

// ErrCorrupt says that the file is not a sound queue file. It is left as it is.
var ErrCorrupt = errors.New("the file is not a sound queue file")

// File is an open queue file, locked against others.
type File struct {
	db   *bbolt.DB
	path string
	salt uint64
	buf  []byte
	read atomic.Int64 // bytes of contents read since the mapping was last dropped
}

// Options of Open.
type Options struct {
	NoFsync bool
	Logger  *slog.Logger
}

// Open opens the file and makes it if it is not there.
func Open(path string, o Options) (f *File, err error) {
	db, err := openDB(path, o)
	if err != nil {
		return nil, fmt.Errorf("queue file %s: %w", path, err)
	}
	f = &File{db: db, path: path}
	if err := guard(f.begin); err != nil {
		_ = db.Close()
		return nil, fmt.Errorf("queue file %s: %w", path, err)
	}
	if err := f.compact(o); err != nil {
		_ = f.db.Close()
		return nil, fmt.Errorf("queue file %s: %w", path, err)
	}
	return f, nil
}

func openDB(path string, o Options) (db *bbolt.DB, err error) {
	var file *os.File
	err = guard(func() error {
		db, err = bbolt.Open(path, 0o600, &bbolt.Options{
			Timeout:        time.Second,
			NoFreelistSync: true, // else each commit writes the list of free pages
			FreelistType:   bbolt.FreelistMapType,
			NoSync:         o.NoFsync,
			OpenFile: func(name string, flag int, mode os.FileMode) (*os.File, error) {
				file, err = os.OpenFile(name, flag, mode)
				return file, err
			},
		})
		return err
	})
	if err == nil {
		err = checkOpened(db, file, path)
	}
	if err != nil && file != nil {
		unlock(file)     // a panic of bbolt leaves a mapping, which holds the lock
		_ = file.Close() // if bbolt has not
	}
	var system *os.PathError
	switch {
	case err == nil:
		return db, nil
	case errors.Is(err, berrors.ErrTimeout):
		return nil, ErrInUse
	case !errors.Is(err, ErrInUse) && !errors.Is(err, ErrCorrupt) && !errors.As(err, &system):
		return nil, fmt.Errorf("%w and was left as it is (%w); restore it from a copy, or move it away to begin anew", ErrCorrupt, err)
	}
	return nil, err
}

// checkOpened finds out whether an open database is whole and still the file at
// path; if not, it closes it.
func checkOpened(db *bbolt.DB, file *os.File, path string) error {
	fail := func(err error) error { return errors.Join(err, db.Close()) }
	opened, err := file.Stat()
	if err != nil {
		return fail(err)
	}
	// While we waited for its lock, the file may have been replaced by a compaction.
	if now, err := os.Stat(path); err != nil || !os.SameFile(now, opened) {
		return fail(ErrInUse)
	}
	var pages int64
	if err := db.View(func(tx *bbolt.Tx) error { pages = tx.Size(); return nil }); err != nil {
		return fail(err)
	}
	if opened.Size() < pages {
		return fail(fmt.Errorf("%w and was left as it is (it has %d bytes of %d); restore it from a copy, or move it away to begin anew", ErrCorrupt, opened.Size(), pages))
	}
	return nil
}

// guard makes errors of the panics and faults by which bbolt answers a damaged
// file.
func guard(f func() error) (err error) {
	old := debug.SetPanicOnFault(true)
	defer debug.SetPanicOnFault(old)
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w and was left as it is (%v); restore it from a copy, or move it away to begin anew", ErrCorrupt, p)
		}
	}()
	return f()
}

// begin checks the file's format, or writes it into a new one.
func (f *File) begin() error {
	fresh := false
	err := f.db.View(func(tx *bbolt.Tx) error {
		b := tx.Bucket(metaBucket)
		if b == nil {
			if k, _ := tx.Cursor().First(); k != nil {
				return fmt.Errorf("%w: it is a bbolt file of something else, and was left as it is", ErrCorrupt)
			}
			fresh = true
			return nil
		}
		if got := b.Get(formatKey); !bytes.Equal(got, []byte(format)) {
			return fmt.Errorf("%w: its format is %q and this server reads %q; it was left as it is", ErrCorrupt, got, format)
		}
		f.salt = binary.BigEndian.Uint64(append(b.Get(saltKey), make([]byte, 8)...))
		return nil
	})
	if err != nil || !fresh {
		return err
	}
	var salt [8]byte
	if _, err := rand.Read(salt[:]); err != nil {
		return err
	}
	f.salt = binary.BigEndian.Uint64(salt[:])
	return f.db.Update(func(tx *bbolt.Tx) error {
		b, err := tx.CreateBucketIfNotExists(metaBucket)
		if err != nil {
			return err
		}
		for _, name := range [][]byte{queueBucket, taskBucket} {
			if _, err := tx.CreateBucketIfNotExists(name); err != nil {
				return err
			}
		}
		return errors.Join(b.Put(formatKey, []byte(format)), b.Put(saltKey, salt[:]))
	})
}

// Salt marks the receipt handles of this file's server.
func (f *File) Salt() uint64 { return f.salt }

// Close writes the list of free pages, which spares the next Open the walk over
// all pages, and unlocks the file.
func (f *File) Close() error {
	f.db.NoFreelistSync = false
	_ = f.db.Update(func(*bbolt.Tx) error { return nil }) // without it the list is made anew
	return f.db.Close()
}

// Size is the file's length in bytes.
func (f *File) Size() int64 {
	if info, err := os.Stat(f.path); err == nil {
		return info.Size()
	}
	return 0
}

func name(kind byte, queue int64) []byte {
	return binary.BigEndian.AppendUint64([]byte{kind}, uint64(queue))
}

func key(seq uint64) []byte { return binary.BigEndian.AppendUint64(nil, seq) }

// Load gives all that is in the file to e.
func (f *File) Load(e *engine.Engine, now int64) error {
	err := guard(func() error {
		return f.db.View(func(tx *bbolt.Tx) error { return load(tx, e, now) })
	})
	if err != nil {
		return fmt.Errorf("queue file %s: %w", f.path, err)
	}
	f.dropMapping()
	return nil
}

func load(tx *bbolt.Tx, e *engine.Engine, now int64) error {
	queues := tx.Bucket(queueBucket)
	e.RestoreCounters(tx.Bucket(metaBucket).Sequence(), int64(queues.Sequence()))
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

// Apply makes changes in one transaction, all or none.
func (f *File) Apply(changes []engine.Change) error {
	return f.db.Update(func(tx *bbolt.Tx) error {
		w := writer{tx: tx, buf: f.buf[:0], buckets: map[bucketKey]*bbolt.Bucket{}}
		for i := range changes {
			if err := w.apply(&changes[i]); err != nil {
				return err
			}
		}
		f.buf = nil // the transaction holds on to it until it is written
		meta := tx.Bucket(metaBucket)
		if w.lastSeq > meta.Sequence() {
			return meta.SetSequence(w.lastSeq)
		}
		return nil
	})
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

// meta is c's record. The buffer behind it may move as it grows; parts of it
// that were handed out stay valid.
func (w *writer) meta(c *engine.Change) []byte {
	from := len(w.buf)
	w.buf = appendMeta(w.buf, &c.Meta)
	return w.buf[from:len(w.buf):len(w.buf)]
}

func (w *writer) content(c *engine.Content) []byte {
	from := len(w.buf)
	w.buf = appendContent(w.buf, c)
	return w.buf[from:len(w.buf):len(w.buf)]
}

func (w *writer) apply(c *engine.Change) error {
	switch c.Kind {
	case engine.MessagePut, engine.MessageMove:
		w.lastSeq = max(w.lastSeq, c.Seq)
	}
	switch c.Kind {
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
		return w.drop(c.Queue, "mb")
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

// Content reads a message's content; nil if it is not there. It is safe from
// several goroutines.
func (f *File) Content(queue int64, seq uint64) (c *engine.Content, err error) {
	err = f.db.View(func(tx *bbolt.Tx) error {
		b := tx.Bucket(name('b', queue))
		if b == nil {
			return nil
		}
		v := b.Get(key(seq))
		if v == nil {
			return nil
		}
		f.read.Add(int64(len(v)))
		c, err = parseContent(v)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("queue file %s: content of message %d: %w", f.path, seq, err)
	}
	return c, nil
}
