package source

import (
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

// A place is the same whether a reader comes to it step by step, goes back, or looks for it alone.
func TestCursor(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringOf(rapid.SampledFrom([]rune("aé日\n\r "))).Draw(t, "text")
		c := cursor{data: []byte(text)}
		for _, at := range rapid.SliceOfN(rapid.IntRange(0, len(text)+2), 1, 8).Draw(t, "offsets") {
			head := text[:min(at, len(text))]
			for !utf8.ValidString(head) {
				head = head[:len(head)-1]
			}
			line, col := c.at(len(head))
			wantLine := strings.Count(head, "\n") + 1
			wantCol := utf8.RuneCountInString(head[strings.LastIndexByte(head, '\n')+1:]) + 1
			if int(line) != wantLine || int(col) != wantCol {
				t.Fatalf("offset %d of %q: got %d:%d, want %d:%d", len(head), text, line, col, wantLine, wantCol)
			}
		}
	})
}

// A map is searched by its table once it is large, and finds the first of equal keys.
func TestFinder(t *testing.T) {
	n, find := &Node{Kind: Map}, Finder{}
	for i := range 3 * manyKids {
		key := strings.Repeat("k", i%(2*manyKids)+1)
		n.Kids = append(n.Kids, Kid{Key: key, Node: &Node{}})
		if got, want := find.Index(n, key), i%(2*manyKids); got != want {
			t.Fatalf("of %d entries, key %d is at %d", len(n.Kids), want, got)
		}
	}
	if find.Index(n, "x") >= 0 || find.Get(n, "x") != nil || find.At(&Node{Kind: List, Kids: n.Kids}, "01") != nil {
		t.Error("something is found under an unknown key")
	}
}
