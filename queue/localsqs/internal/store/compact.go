package store

import (
	"fmt"
	"os"
	"path/filepath"

	"go.etcd.io/bbolt"
)

const (
	compactFrom = 16 << 20 // bytes; a smaller file is not worth it
	compactStep = 16 << 20 // bytes a transaction
)

// compact rewrites the file if more than half of it is free. If that cannot
// be done (no space), the file stays as it is.
func (f *File) compact(o Options) error {
	leftover := f.path + ".compact"
	_ = os.Remove(leftover) // of a compaction that was interrupted, if any
	size := f.Size()
	free := int64(f.db.Stats().FreePageN) * int64(f.db.Info().PageSize)
	if size < compactFrom || free*2 <= size {
		return nil
	}
	if err := guard(func() error { return f.copyTo(leftover) }); err != nil {
		_ = os.Remove(leftover)
		o.Logger.Warn("the queue file could not be compacted and stays as it is", "file", f.path, "bytes", size,
			"free", free, "error", err)
		return nil
	}
	if err := os.Rename(leftover, f.path); err != nil {
		_ = os.Remove(leftover)
		o.Logger.Warn("the compacted queue file could not take its place", "file", f.path, "error", err)
		return nil
	}
	if err := syncDir(filepath.Dir(f.path)); err != nil {
		return err
	}
	if err := f.db.Close(); err != nil {
		return err
	}
	db, err := openDB(f.path, o)
	if err != nil {
		return fmt.Errorf("after compaction: %w", err)
	}
	f.db = db
	o.Logger.Info("compacted the queue file", "file", f.path, "bytes_before", size, "bytes", f.Size())
	return nil
}

func (f *File) copyTo(path string) error {
	dst, err := bbolt.Open(path, 0o600, &bbolt.Options{NoSync: true, FreelistType: bbolt.FreelistMapType,
		OpenFile: func(name string, flag int, mode os.FileMode) (*os.File, error) {
			return os.OpenFile(name, flag|os.O_EXCL, mode) // a link that was planted is not followed
		}})
	if err != nil {
		return err
	}
	if err := bbolt.Compact(dst, f.db, compactStep); err != nil {
		_ = dst.Close()
		return err
	}
	if err := dst.Sync(); err != nil {
		_ = dst.Close()
		return err
	}
	return dst.Close()
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close() //nolint:errcheck // it was opened to be read
	return d.Sync()
}
