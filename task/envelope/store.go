package envelope

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"sync/atomic"
	"time"
)

// Store keeps the arguments that are too large for the queue. All methods may be called
// from several goroutines, and must end with ctx.
//
// A name begins with a folder that says for how long its objects have to be kept: 30d, 90d,
// 366d, or ever. A store that deletes by age, as S3 does by lifecycle rules, has a rule for
// each of the first three.
type Store interface {
	// Put keeps data under a new name. When it returns nil any process can get it.
	Put(ctx context.Context, name string, data []byte) error
	// Get returns an object of at most so many bytes. Its error is [ErrNoObject] where it is
	// not there, and any other where that is not known.
	Get(ctx context.Context, name string, most int64) ([]byte, error)
	// Delete deletes an object. One that is not there is no error.
	Delete(ctx context.Context, name string) error
}

const day = 24 * time.Hour

// classes are the folders of a store, by the time that their objects are kept.
var classes = []struct {
	folder string
	keep   time.Duration
}{{"30d", 30 * day}, {"90d", 90 * day}, {"366d", 366 * day}}

// classFor returns the folder of what is to be kept for so long.
func classFor(keep time.Duration) string {
	for _, c := range classes {
		if keep <= c.keep {
			return c.folder
		}
	}
	return "ever"
}

// Folder is a [Store] of files, for a laptop or a volume that all processes share. A
// [Folder.Put] deletes what is too old, at most once an hour.
type Folder struct {
	root  *os.Root
	begun time.Time
	swept atomic.Int64 // Unix time of the last sweep
}

// NewFolder returns the store of a folder, which is made if it is not there.
func NewFolder(dir string) (*Folder, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("envelope: make the folder of the store: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("envelope: open the folder of the store: %w", err)
	}
	return &Folder{root: root, begun: time.Now()}, nil
}

// Close frees the folder.
func (f *Folder) Close() error { return f.root.Close() }

// Put implements [Store]. The file is there whole, also after a power cut, or not at all.
func (f *Folder) Put(_ context.Context, name string, data []byte) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("envelope: keep object %s: %w", name, err)
		}
	}()
	now := time.Now()
	if last := f.swept.Load(); now.Unix()-last >= 3600 && f.swept.CompareAndSwap(last, now.Unix()) {
		f.sweep(now)
	}
	folder := path.Dir(name)
	if err := f.root.Mkdir(folder, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	part := name + ".part"
	file, err := f.root.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(data)
	err = errors.Join(err, file.Sync(), file.Close())
	if err == nil {
		err = f.root.Rename(part, name)
	}
	if err != nil {
		_ = f.root.Remove(part)
		return err
	}
	return f.syncFolder(folder)
}

// syncFolder makes the names of a folder durable.
func (f *Folder) syncFolder(folder string) error {
	d, err := f.root.Open(folder)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Get implements [Store].
func (f *Folder) Get(_ context.Context, name string, most int64) ([]byte, error) {
	file, err := f.root.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %s", ErrNoObject, name)
	}
	if err != nil {
		return nil, fmt.Errorf("envelope: get object %s: %w", name, err)
	}
	defer func() { _ = file.Close() }()
	data, err := io.ReadAll(io.LimitReader(file, most+1))
	if err != nil {
		return nil, fmt.Errorf("envelope: get object %s: %w", name, err)
	}
	if int64(len(data)) > most {
		return nil, fmt.Errorf("%w: object %s has more than %d bytes", ErrBroken, name, most)
	}
	return data, nil
}

// Delete implements [Store].
func (f *Folder) Delete(_ context.Context, name string) error {
	if err := f.root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("envelope: delete object %s: %w", name, err)
	}
	return nil
}

// maxJump is the difference of the wall clock and the monotonic one at which nothing is
// swept: a clock that jumps by years would delete everything.
const maxJump = time.Hour

// sweep deletes the objects that are older than their folder says. Errors are left to
// the next sweep.
func (f *Folder) sweep(now time.Time) {
	if jump := now.Round(0).Sub(f.begun.Round(0)) - now.Sub(f.begun); jump.Abs() > maxJump {
		return
	}
	for _, c := range classes {
		list, err := fs.ReadDir(f.root.FS(), c.folder)
		if err != nil {
			continue
		}
		for _, entry := range list {
			name := c.folder + "/" + entry.Name()
			info, err := entry.Info()
			if err == nil && now.Sub(info.ModTime()) > c.keep &&
				objectName.MatchString(strings.TrimSuffix(name, ".part")) {
				_ = f.root.Remove(name)
			}
		}
	}
}
