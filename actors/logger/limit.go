package logger

import (
	"bytes"
	"strconv"
	"strings"
	"unicode/utf8"
)

// cutLine makes a line fit into f.maxLine bytes. JSON stays JSON: values are
// cut, the longest first, and marked; "truncated" is the length that the
// line would have had. Only when that is not enough are fields left out, from
// the end.
// lost is what was left out of it so far.
func cutLine(f *form, line []byte, lost int) []byte {
	if f.text {
		return cutText(f, line, lost)
	}
	mark := append([]byte(`,"truncated":`), strconv.Itoa(len(line)+lost)...)
	room := f.maxLine - len(mark) - len("}\n")
	var w walker
	for cut := f.maxLine / 2; cut >= 32; cut /= 2 {
		w = walker{src: line, dst: w.dst[:0], cut: cut}
		w.fields()
		if len(w.dst) <= room {
			break
		}
	}
	body := w.dst
	if len(body) > room {
		body = body[:lastField(body, room)]
	}
	body = append(body, mark...)
	return append(body, '}', '\n')
}

// fields copies the fields of the line's object, without its closing brace.
// Unlike a value within it the object itself is never made a string. A key is cut
// too, so that it does not fill the line; keys that are then alike get a number.
func (w *walker) fields() {
	written := map[string]bool{}
	w.dst = append(w.dst, '{')
	for i := 1; w.src[i] != '}'; {
		if w.src[i] == ',' {
			w.dst = append(w.dst, ',')
			i++
		}
		end := stringEnd(w.src, i)
		key := string(w.src[i+1 : end-1])
		whole := key
		if len(key) > w.cut {
			whole = key[:cutEscaped([]byte(key), w.cut)]
			key = whole + "…"
		}
		for n := 2; written[key]; n++ {
			key = whole + "…" + strconv.Itoa(n)
		}
		written[key] = true
		w.dst = append(w.dst, '"')
		w.dst = append(w.dst, key...)
		w.dst = append(w.dst, '"', ':')
		i = w.value(end + 1)
	}
}

// lastField is where the last field ends that is whole within the first n
// bytes of an object without its closing brace.
func lastField(b []byte, n int) int {
	last := 1
	for i := 1; i < len(b); {
		if b[i] == ',' {
			i++
		}
		i = valueEnd(b, stringEnd(b, i)+1)
		if i > n {
			break
		}
		last = i
	}
	return last
}

func cutText(f *form, line []byte, lost int) []byte {
	whole := len(line) - 1 + lost // without the newline
	// The mark has as much room as one with the highest number could need.
	n := f.maxLine - len(f.colours.off) - len(" "+cutMark+cutMarkEnd+"\n") - len(strconv.Itoa(whole))
	for n > 0 && !utf8.RuneStart(line[n]) {
		n--
	}
	if f.colours.off != "" {
		// Not inside an escape sequence.
		if esc := bytes.LastIndexByte(line[:n], 0x1b); esc >= 0 && !strings.Contains(string(line[esc:n]), "m") {
			n = esc
		}
	}
	line = append(line[:n], f.colours.off...)
	return append(appendCutMark(append(line, ' '), whole-n), '\n')
}
