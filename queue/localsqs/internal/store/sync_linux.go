package store

import (
	"os"
	"syscall"
)

// unlock releases the lock of a file that could not be opened as a database.
func unlock(file *os.File) {
	_ = syscall.Flock(int(file.Fd()), syscall.LOCK_UN) // fails if it is closed already, which unlocks it too
}

// datasync makes the data written to file durable.
func datasync(file *os.File) error {
	for {
		if err := syscall.Fdatasync(int(file.Fd())); err != syscall.EINTR {
			return err
		}
	}
}
