//go:build !linux

package store

import "os"

func (f *File) dropMapping() {}

func unlock(*os.File) {}

// datasync makes what was written to file safe.
func datasync(file *os.File) error { return file.Sync() }
