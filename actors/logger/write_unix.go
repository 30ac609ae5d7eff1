//go:build unix

package logger

import "syscall"

const rawWrites = true

func rawWrite(fd uintptr, b []byte) (int, error) { return syscall.Write(int(fd), b) }
