package source

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"os"
	"unicode/utf8"
)

// maxFile is how large a file of settings may be, in bytes: four times what a Kubernetes ConfigMap can hold.
const maxFile = 4 << 20

// ReadFile reads a file of fsys, or of the system if that is nil. It refuses what is no regular file, for reading
// a pipe may wait for ever and a device may never end; it follows links.
func ReadFile(fsys fs.FS, path string) ([]byte, error) {
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
	refuse := func(err error) ([]byte, error) { return nil, &fs.PathError{Op: "read", Path: path, Err: err} }
	switch {
	case err != nil:
		return nil, err
	case info.IsDir():
		return refuse(fmt.Errorf("is a directory, expected a file"))
	case !info.Mode().IsRegular():
		return refuse(fmt.Errorf("is a pipe, socket or device, expected a file"))
	}
	data, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err == nil && len(data) > maxFile {
		return refuse(errTooLarge)
	}
	return data, err
}

// ByteOrderMark is what some editors put before UTF-8.
const ByteOrderMark = "\xef\xbb\xbf"

// Text checks what every text must be, whatever its notation: UTF-8 and not too large. It returns the text
// without its byte order mark.
func (r *Reading) Text(data []byte) ([]byte, bool) {
	if len(data) > maxFile {
		r.fail(Unreadable, 0, 0, errTooLarge.Error())
		return nil, false
	}
	if bytes.HasPrefix(data, []byte("\xff\xfe")) || bytes.HasPrefix(data, []byte("\xfe\xff")) {
		r.fail(Syntax, 1, 1, "expected UTF-8 text, found UTF-16: save the file as UTF-8")
		return nil, false
	}
	data = bytes.TrimPrefix(data, []byte(ByteOrderMark))
	if utf8.Valid(data) {
		return data, true
	}
	at := 0
	for {
		c, size := utf8.DecodeRune(data[at:])
		if c == utf8.RuneError && size == 1 {
			break
		}
		at += size
	}
	r.failAt(data, at, "expected UTF-8 text, found a byte that is not")
	return nil, false
}

// lineColumn returns the place of a byte offset, both from 1, the column in characters.
func lineColumn(data []byte, offset int) (line, col int) {
	c := cursor{data: data}
	l, k := c.at(max(offset, 0))
	return int(l), int(k)
}

// cursor counts the lines and characters of a text as a reader goes on in it: a long line is counted once, not
// for each of its values.
type cursor struct {
	data      []byte
	i         int   // counted up to here
	line, col int32 // of i, from 0
}

// at returns the place of a byte offset, both from 1.
func (c *cursor) at(i int) (line, col int32) {
	if i = min(i, len(c.data)); i < c.i {
		*c = cursor{data: c.data}
	}
	part := c.data[c.i:i]
	if last := bytes.LastIndexByte(part, '\n'); last >= 0 {
		c.line += int32(bytes.Count(part, []byte("\n")))
		part, c.col = part[last+1:], 0
	}
	c.col += int32(utf8.RuneCount(part))
	c.i = i
	return c.line + 1, c.col + 1
}
