package store

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// private keeps a queue's file from other users of the machine: a folder that is
// not there is made for its owner alone, and a file that others may read, such as
// one that was copied here, is closed to them. Messages hold the tasks' arguments.
func private(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Mode().IsRegular() && info.Mode().Perm()&0o077 != 0:
		return os.Chmod(path, info.Mode().Perm()&0o700)
	}
	return nil
}
