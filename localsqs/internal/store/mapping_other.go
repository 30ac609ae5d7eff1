//go:build !linux

package store

import "os"

func (f *File) dropMapping() {}

func unlock(*os.File) {}
