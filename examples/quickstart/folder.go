package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// folder returns the folder that the run keeps its files in: given, or one that
// no other user of the machine can have prepared. A folder of a known name in
// the common temporary folder could hold links to files of this user.
func folder(given string) (string, error) {
	if given != "" {
		return given, nil
	}
	if cache, err := os.UserCacheDir(); err == nil && os.MkdirAll(cache, 0o700) == nil {
		return filepath.Join(cache, "chassis-quickstart"), nil
	}
	return os.MkdirTemp("", "chassis-quickstart-") // a killed run is carried on with -data
}

// ownFolder makes the folder, or makes sure that an earlier run has: that it is
// a folder itself, that no other user may write to it, and that all in it are
// plain files, so that nothing is written through a link.
func ownFolder(dir string) error {
	if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	if !info.IsDir() || info.Mode().Perm()&0o022 != 0 {
		return fmt.Errorf("%s is %v: want a folder that other users cannot write to; choose another with -data",
			dir, info.Mode())
	}
	files, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, f := range files {
		if !f.Type().IsRegular() {
			return fmt.Errorf("%s holds %s, which is no file of an earlier run: choose another folder with -data",
				dir, f.Name())
		}
	}
	return nil
}
