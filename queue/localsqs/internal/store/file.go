package store

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"github.com/sambatech/chassis/queue/localsqs/internal/engine"
)

const (
	format       = "localsqs 2"
	formatBefore = "localsqs 1" // the same without a journal
)

var (
	metaBucket  = []byte("meta")
	queueBucket = []byte("queues")
	taskBucket  = []byte("moves")
	formatKey   = []byte("format")
	saltKey     = []byte("salt")
	journalKey  = []byte("journal")
	timeKey     = []byte("time") // of the latest change, ns of the Unix epoch
)

// ErrInUse says that another server has the file open.
var ErrInUse = errors.New("the file is in use by another server")

// ErrCorrupt says that the file is not a sound queue file. It is left as it is.
var ErrCorrupt = errors.New("the file is not a sound queue file")

// File is an open queue file, locked against others.
type File struct {
	db      *bbolt.DB
	logger  *slog.Logger
	limit   int64 // CheckpointFrom
	path    string
	salt    uint64
	noFsync bool
	applied uint64 // the journal's latest group that is in the file
}

// Options of Open.
type Options struct {
	NoFsync bool
	Logger  *slog.Logger
	// CheckpointFrom is the length in bytes from which the journal is taken into
	// the file. Default: 8 MB. A restart after a crash reads a few times of it at most.
	CheckpointFrom int64
}

// Open opens the file and makes it if it is not there, and its folder too. Both
// are made for their owner alone, and a file that others can read is not after.
func Open(path string, o Options) (f *File, err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("queue file %s: its folder: %w", path, err)
	}
	db, err := openDB(path, o)
	if err != nil {
		return nil, fmt.Errorf("queue file %s: %w", path, err)
	}
	ownerOnly(path, o.Logger)
	f = &File{db: db, path: path, logger: o.Logger, noFsync: o.NoFsync,
		limit: cmp.Or(o.CheckpointFrom, checkpointFrom)}
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
			Timeout:      time.Second,
			FreelistType: bbolt.FreelistMapType,
			NoSync:       o.NoFsync,
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
		return nil, fmt.Errorf("%w and was left as it is (%w); restore it from a copy, or move it away to begin "+
			"with an empty one", ErrCorrupt, err)
	}
	return nil, err
}

// ownerOnly takes the rights on the file from all but its owner. A file system
// without rights, or another owner, is worth a line in the log.
func ownerOnly(path string, log *slog.Logger) {
	info, err := os.Stat(path)
	if err == nil && info.Mode().Perm()&0o077 != 0 && runtime.GOOS != "windows" {
		err = os.Chmod(path, 0o600)
	}
	if err != nil {
		log.Warn("the queue file can be read by others than its owner", "file", path, "error", err)
	}
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
		return fail(fmt.Errorf("%w and was left as it is (it has %d bytes of %d); restore it from a copy, or move "+
			"it away to begin with an empty one", ErrCorrupt, opened.Size(), pages))
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
			err = fmt.Errorf("%w and was left as it is (%v); restore it from a copy, or move it away to begin "+
				"with an empty one", ErrCorrupt, p)
		}
	}()
	return f()
}

// begin checks the file's format, or writes it into a new one.
func (f *File) begin() error {
	fresh, open, old := false, false, false
	err := f.db.View(func(tx *bbolt.Tx) error {
		b := tx.Bucket(metaBucket)
		if b == nil {
			if k, _ := tx.Cursor().First(); k != nil {
				return fmt.Errorf("%w: it is a bbolt file of something else, and was left as it is", ErrCorrupt)
			}
			fresh = true
			return nil
		}
		got := b.Get(formatKey)
		if old = string(got) == formatBefore; !old && !bytes.Equal(got, []byte(format)) {
			return fmt.Errorf("%w: its format is %q and this server reads %q; it was left as it is", ErrCorrupt,
				got, format)
		}
		f.salt = binary.BigEndian.Uint64(append(b.Get(saltKey), make([]byte, 8)...))
		f.applied, open = parseJournalRecord(b.Get(journalKey))
		return nil
	})
	switch {
	case err != nil:
		return err
	case open:
		return f.replay()
	case old:
		return f.db.Update(func(tx *bbolt.Tx) error { return tx.Bucket(metaBucket).Put(formatKey, []byte(format)) })
	case !fresh:
		return nil
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

// replay takes over what the journal of a server that did not end in good order
// holds.
func (f *File) replay() error {
	for _, p := range journalPaths(f.path) {
		if _, err := os.Stat(p); errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%w: it was not closed, and its journal %s with the latest changes is missing; put "+
				"it back next to the file, or make an empty file of that name to go on without them", ErrCorrupt, p)
		}
	}
	changes, number, err := readJournal(f.path, f.salt, f.applied)
	if err != nil {
		return err
	}
	if err := f.apply(squash(changes), number, true); err != nil {
		return fmt.Errorf("applying its journal: %w", err)
	}
	f.applied = number
	return nil
}

// journalRecord is what the queue file keeps of its journal.
func journalRecord(number uint64, open bool) []byte {
	v := binary.BigEndian.AppendUint64(nil, number)
	if open {
		return append(v, 1)
	}
	return append(v, 0)
}

func parseJournalRecord(v []byte) (number uint64, open bool) {
	if len(v) != 9 {
		return 0, false // none yet
	}
	return binary.BigEndian.Uint64(v), v[8] == 1
}

// Salt marks the receipt handles of this file's server.
func (f *File) Salt() uint64 { return f.salt }

// Close unlocks the file.
func (f *File) Close() error { return f.db.Close() }

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

// Content reads a message's content; nil if it is not there. It is safe from
// several goroutines.
func (f *File) Content(queue int64, seq uint64) (c *engine.Content, err error) {
	err = guard(func() error {
		return f.db.View(func(tx *bbolt.Tx) error {
			b := tx.Bucket(name('b', queue))
			if b == nil {
				return nil
			}
			v := b.Get(key(seq))
			if v == nil {
				return nil
			}
			var err error
			c, err = parseContent(v)
			return err
		})
	})
	if err != nil {
		return nil, fmt.Errorf("queue file %s: content of message %d: %w", f.path, seq, err)
	}
	return c, nil
}
