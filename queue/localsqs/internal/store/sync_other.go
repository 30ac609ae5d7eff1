//go:build !linux

package store

import "os"

func unlock(*os.File) {}

// datasync makes the data written to file durable.
func datasync(file *os.File) error { return file.Sync() }
