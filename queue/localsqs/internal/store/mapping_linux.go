package store

import (
	"os"
	"syscall"
	"unsafe"
)

// dropMapping unloads the pages of the file's mapping; reading brings them back.
func (f *File) dropMapping() {
	info := f.db.Info()
	size := f.Size() / int64(info.PageSize) * int64(info.PageSize)
	if info.Data == 0 || size == 0 {
		return
	}
	// The mapping is bbolt's and outlives this call; it is no memory of Go's.
	mapped := unsafe.Slice((*byte)(*(*unsafe.Pointer)(unsafe.Pointer(&info.Data))), size)
	_ = syscall.Madvise(mapped, syscall.MADV_DONTNEED) // advice: without it only the figure is higher
}

// unlock lets go of the lock of a file that could not be opened as a database.
func unlock(file *os.File) {
	_ = syscall.Flock(int(file.Fd()), syscall.LOCK_UN) // fails if it is closed already, which unlocks it too
}

// datasync makes what was written to file safe.
func datasync(file *os.File) error {
	for {
		if err := syscall.Fdatasync(int(file.Fd())); err != syscall.EINTR {
			return err
		}
	}
}
