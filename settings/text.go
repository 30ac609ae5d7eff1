package settings

import (
	"bytes"
	"unicode/utf8"
)

// checkText drops a byte order mark and gives the offset of the first byte
// that is not UTF-8, or -1.
func checkText(data []byte) ([]byte, int) {
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	if utf8.Valid(data) {
		return data, -1
	}
	for i := 0; i < len(data); {
		r, size := utf8.DecodeRune(data[i:])
		if r == utf8.RuneError && size == 1 {
			return data, i
		}
		i += size
	}
	return data, -1
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
