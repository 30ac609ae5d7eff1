package settings

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"os"
	"unicode/utf8"
)

// maxFile is how large a file of settings may be, in bytes: four times what a
// Kubernetes ConfigMap can hold.
const maxFile = 4 << 20

// slurp reads a file whole. What is no regular file is refused, for reading a
// pipe may wait for ever and a device may never end; a link is followed.
func slurp(fsys fs.FS, path string) ([]byte, error) {
	var file fs.File
	var info fs.FileInfo
	var err error
	if fsys != nil {
		if file, err = fsys.Open(path); err == nil {
			info, err = file.Stat()
		}
	} else if info, err = os.Stat(path); err == nil && info.Mode().IsRegular() {
		file, err = os.Open(path)
	}
	if file != nil {
		defer func() { _ = file.Close() }() // it was only read
	}
	switch {
	case err != nil:
		return nil, err
	case info.IsDir():
		return nil, &fs.PathError{Op: "read", Path: path, Err: fmt.Errorf("is a directory, expected a file")}
	case !info.Mode().IsRegular():
		return nil, &fs.PathError{Op: "read", Path: path, Err: fmt.Errorf("is a pipe, socket or device, expected a file")}
	}
	data, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err == nil && len(data) > maxFile {
		err = &fs.PathError{Op: "read", Path: path, Err: errTooLarge}
	}
	return data, err
}

var errTooLarge = fmt.Errorf("it is larger than %d MiB, the most that a file of settings may be", maxFile>>20)

// byteOrderMark is what some editors put before UTF-8.
const byteOrderMark = "\xef\xbb\xbf"

// text judges what a file must be whatever its format: UTF-8, with or without
// a byte order mark, and not too large.
func (o *opening) text(name string, data []byte) ([]byte, bool) {
	fail := func(kind Kind, pos Position, problem string) ([]byte, bool) {
		o.fail(&Error{Kind: kind, Pos: pos, Problem: problem})
		return nil, false
	}
	if len(data) > maxFile {
		return fail(KindSource, Position{File: name}, errTooLarge.Error())
	}
	if bytes.HasPrefix(data, []byte("\xff\xfe")) || bytes.HasPrefix(data, []byte("\xfe\xff")) {
		return fail(KindSyntax, Position{File: name, Line: 1, Column: 1}, "expected UTF-8 text, found UTF-16: save the file as UTF-8")
	}
	data = bytes.TrimPrefix(data, []byte(byteOrderMark))
	for i := 0; i < len(data); {
		r, size := rune(data[i]), 1
		if r >= utf8.RuneSelf {
			r, size = utf8.DecodeRune(data[i:])
		}
		if r == utf8.RuneError && size == 1 {
			line, col := lineColumn(data, i)
			return fail(KindSyntax, Position{File: name, Line: line, Column: col}, "expected UTF-8 text, found a byte that is not")
		}
		i += size
	}
	return data, true
}

// lineColumn gives the place of a byte offset, both from 1, the column in
// characters.
func lineColumn(data []byte, offset int) (line, col int) {
	offset = min(max(offset, 0), len(data))
	head := data[:offset]
	line = bytes.Count(head, []byte("\n")) + 1
	start := bytes.LastIndexByte(head, '\n') + 1
	return line, utf8.RuneCount(head[start:]) + 1
}

// columns counts the characters of a line as a reader goes on in it, so that
// a long line is counted once and not for each of its values.
type columns struct {
	data      []byte
	lineStart int
	i         int
	count     int32
}

// at is the place of i in its line, in characters from 1.
func (c *columns) at(lineStart, i int) int32 {
	i = min(i, len(c.data))
	if lineStart != c.lineStart || i < c.i {
		c.lineStart, c.i, c.count = lineStart, min(lineStart, len(c.data)), 0
	}
	c.count += int32(utf8.RuneCount(c.data[c.i:max(i, c.i)]))
	c.i = max(i, c.i)
	return c.count + 1
}
