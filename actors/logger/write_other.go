//go:build !unix

package logger

import "errors"

const rawWrites = false

func rawWrite(uintptr, []byte) (int, error) { return 0, errors.ErrUnsupported }
