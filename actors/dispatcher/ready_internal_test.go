package dispatcher

import (
	"strconv"
	"strings"
	"testing"
	"unsafe"
)

func TestHiddenForgetsTheOldestAndKeepsNothingButIds(t *testing.T) {
	var h hidden
	message := strings.Repeat("x", 1<<20) // an id that was received is a part of its message
	for range 2 {                         // the second time it is known
		h.add(message[:36], 2)
	}
	for id := range h.receives {
		if unsafe.StringData(id) == unsafe.StringData(message) {
			t.Error("the whole message is kept for its id")
		}
	}
	if !h.expected(message[:36], 2) || h.expected(message[:36], 3) {
		t.Error("receives are mixed up")
	}
	for i := range hiddenSize {
		h.add(strconv.Itoa(i), 1)
	}
	if len(h.receives) != hiddenSize || h.expected(message[:36], 2) || !h.expected("0", 1) {
		t.Errorf("%d ids are kept", len(h.receives))
	}
}
