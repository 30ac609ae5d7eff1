package dispatcher

import (
	"strconv"
	"strings"
	"testing"
	"unsafe"
)

func TestHiddenKeepsSoManyIdsAndNothingElse(t *testing.T) {
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
	if !h.back(message[:36], 2) || h.back(message[:36], 2) {
		t.Error("it comes back once")
	}
	h.add("elsewhere", 2)
	if h.back("elsewhere", 3) || len(h.receives) != 0 {
		t.Error("it was received elsewhere in between")
	}
	for i := range 2 * hiddenSize {
		h.add(strconv.Itoa(i), 1)
		if !h.back(strconv.Itoa(i), 1) {
			t.Fatal("the latest is forgotten")
		}
		h.add(strconv.Itoa(i), 1)
	}
	if len(h.receives) != hiddenSize {
		t.Errorf("%d ids are kept", len(h.receives))
	}
}
