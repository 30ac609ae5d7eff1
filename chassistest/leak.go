package chassistest

import (
	"runtime"
	"strings"
)

// bubbleMark is what the stack of a goroutine of a bubble says in its first line.
const bubbleMark = ", synctest bubble "

// bubble is the mark of the bubble that the caller runs in, with its number.
func bubble() string {
	b := make([]byte, 256)
	head, _, _ := strings.Cut(string(b[:runtime.Stack(b, false)]), "]")
	if _, number, ok := strings.Cut(head, bubbleMark); ok {
		return bubbleMark + number + "]"
	}
	return ""
}

// goroutine is the number of the caller's goroutine.
func goroutine() string {
	var b [40]byte
	head := strings.TrimPrefix(string(b[:runtime.Stack(b[:], false)]), "goroutine ")
	number, _, _ := strings.Cut(head, " ")
	return number
}

// leftShown is how many of the goroutines that are left are shown.
const leftShown = 5

// left is the stacks of the goroutines that are left in a bubble, without addresses.
func left(mark string) string {
	b := make([]byte, 1<<20)
	for {
		n := runtime.Stack(b, true)
		if n < len(b) {
			b = b[:n]
			break
		}
		b = make([]byte, 2*len(b))
	}
	return leftOf(mark, string(b))
}

// leftOf picks the stacks of a bubble out of those of all goroutines.
func leftOf(mark, all string) string {
	var list []string
	for stack := range strings.SplitSeq(all, "\n\n") {
		head, frames, _ := strings.Cut(stack, "\n")
		if mark == "" || !strings.Contains(head, mark) || len(list) == leftShown {
			continue
		}
		text := head
		for line := range strings.Lines(frames) {
			place, _, _ := strings.Cut(strings.TrimRight(line, "\n"), " +0x")
			text += "\n\t" + place
		}
		list = append(list, text)
	}
	return strings.Join(list, "\n")
}
