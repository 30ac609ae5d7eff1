package logger

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
	"unicode/utf8"
)

// walker copies valid JSON and changes it on the way: strings longer than cut
// bytes are cut, and the values of keys that form redacts are replaced.
type walker struct {
	src  []byte
	dst  []byte
	cut  int   // 0: no limit
	form *form // nil: nothing is redacted
}

// value copies the value at i and returns where it ends.
func (w *walker) value(i int) int {
	switch w.src[i] {
	case '"':
		return w.str(i)
	case '{':
		return w.object(i)
	case '[':
		return w.array(i)
	}
	end := i
	for end < len(w.src) && !strings.ContainsRune(",]} \t\r\n", rune(w.src[end])) {
		end++
	}
	w.dst = append(w.dst, w.src[i:end]...)
	return end
}

func (w *walker) str(i int) int {
	end := stringEnd(w.src, i)
	body := w.src[i+1 : end-1]
	if w.cut == 0 || len(body) <= w.cut+cutSlack {
		w.dst = append(w.dst, w.src[i:end]...)
		return end
	}
	body, before := cutBefore(body)
	n := cutEscaped(body, w.cut)
	w.dst = append(w.dst, '"')
	w.dst = append(w.dst, body[:n]...)
	w.dst = appendCutMark(w.dst, len(body)-n+before)
	w.dst = append(w.dst, '"')
	return end
}

func (w *walker) object(i int) int {
	from := len(w.dst)
	start := i
	w.dst = append(w.dst, '{')
	for i = w.space(i + 1); w.src[i] != '}'; i = w.space(i) {
		if w.src[i] == ',' {
			w.dst = append(w.dst, ',')
			i = w.space(i + 1)
		}
		end := stringEnd(w.src, i)
		key := w.src[i:end]
		w.dst = append(w.dst, key...)
		w.dst = append(w.dst, ':')
		i = w.space(w.space(end) + 1)
		if w.form != nil && w.form.mustRedact(unquote(key)) {
			i = valueEnd(w.src, i)
			w.dst = append(w.dst, '"')
			w.dst = append(w.dst, redacted...)
			w.dst = append(w.dst, '"')
			continue
		}
		i = w.value(i)
	}
	w.dst = append(w.dst, '}')
	w.shorten(from, start, i+1)
	return i + 1
}

func (w *walker) array(i int) int {
	from := len(w.dst)
	start := i
	w.dst = append(w.dst, '[')
	for i = w.space(i + 1); w.src[i] != ']'; i = w.space(i) {
		if w.src[i] == ',' {
			w.dst = append(w.dst, ',')
			i = w.space(i + 1)
		}
		i = w.value(i)
	}
	w.dst = append(w.dst, ']')
	w.shorten(from, start, i+1)
	return i + 1
}

// shorten writes a container that is too long though its strings are cut as a
// string with the start of its JSON.
func (w *walker) shorten(from, start, end int) {
	if w.cut == 0 || len(w.dst)-from <= 2*w.cut {
		return
	}
	text := string(w.src[start:end])
	n := cutAt(text, w.cut)
	w.dst = append(w.dst[:from], '"')
	w.dst = appendEscaped(w.dst, text[:n])
	w.dst = appendCutMark(w.dst, len(text)-n)
	w.dst = append(w.dst, '"')
}

func (w *walker) space(i int) int {
	for i < len(w.src) && (w.src[i] == ' ' || w.src[i] == '\t' || w.src[i] == '\r' || w.src[i] == '\n') {
		i++
	}
	return i
}

// stringEnd is the end of the JSON string that begins at i.
func stringEnd(b []byte, i int) int {
	for i++; b[i] != '"'; i++ {
		if b[i] == '\\' {
			i++
		}
	}
	return i + 1
}

// valueEnd is the end of the JSON value that begins at i.
func valueEnd(b []byte, i int) int {
	w := walker{src: b}
	return w.value(i)
}

func unquote(key []byte) string {
	var s string
	if err := json.Unmarshal(key, &s); err != nil {
		return string(key[1 : len(key)-1])
	}
	return s
}

// cutAt is the last place not after n where s can be cut between two runes.
func cutAt(s string, n int) int {
	if n >= len(s) {
		return len(s)
	}
	for i := n; i > n-utf8.UTFMax && i > 0; i-- {
		if utf8.RuneStart(s[i]) {
			return i
		}
	}
	return n
}

// cutEscaped is the same within the body of a JSON string, not inside an
// escape nor between the two of a surrogate pair.
func cutEscaped(b []byte, n int) int {
	last := 0
	for i := 0; i <= n && i < len(b); {
		last = i
		switch {
		case b[i] != '\\':
			_, size := utf8.DecodeRune(b[i:])
			i += size
		case b[i+1] != 'u':
			i += 2
		case i+11 < len(b) && (b[i+2] == 'd' || b[i+2] == 'D') && b[i+6] == '\\':
			i += 12
		default:
			i += 6
		}
	}
	return last
}

const cutMark, cutMarkEnd = "…[cut ", " bytes]"

// cutSlack is more than a mark takes: to cut less makes nothing shorter, and
// an id of 36 or a trace's name of 64 bytes is of no use cut.
const cutSlack = 32

// appendCutMark writes into a value how much of it is missing.
func appendCutMark(b []byte, n int) []byte {
	b = append(b, cutMark...)
	b = strconv.AppendInt(b, int64(n), 10)
	return append(b, cutMarkEnd...)
}

// cutBefore takes the mark off a value that has been cut, and says by how much.
func cutBefore(b []byte) (rest []byte, n int) {
	i := bytes.LastIndex(b, []byte(cutMark))
	if i < 0 || !bytes.HasSuffix(b, []byte(cutMarkEnd)) {
		return b, 0
	}
	n, err := strconv.Atoi(string(b[i+len(cutMark) : len(b)-len(cutMarkEnd)]))
	if err != nil {
		return b, 0
	}
	return b[:i], n
}

// redactJSON replaces the values of the keys that f redacts, at any depth.
func redactJSON(raw []byte, f *form) []byte {
	w := walker{src: raw, dst: make([]byte, 0, len(raw)), form: f}
	w.value(0)
	return w.dst
}
