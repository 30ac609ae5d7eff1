package source

import "strconv"

// Finder finds the entries of large maps by a table, which makes a file of a hundred thousand keys take a second
// and not an hour. It belongs to one goroutine and lives as long as one reading; meanwhile maps may grow at their
// end.
type Finder map[*Node]*table

type table struct {
	places map[string]int
	seen   int // how many entries the table has
}

// manyKids is the number of entries from which on a table pays.
const manyKids = 32

// Index returns the index of the first entry with the key, or -1.
func (f *Finder) Index(n *Node, key string) int {
	if n == nil || n.Kind != Map {
		return -1
	}
	if len(n.Kids) <= manyKids {
		for i := range n.Kids {
			if n.Kids[i].Key == key {
				return i
			}
		}
		return -1
	}
	if *f == nil {
		*f = Finder{}
	}
	t := (*f)[n]
	if t == nil {
		t = &table{places: make(map[string]int, len(n.Kids))}
		(*f)[n] = t
	}
	for ; t.seen < len(n.Kids); t.seen++ {
		if _, again := t.places[n.Kids[t.seen].Key]; !again {
			t.places[n.Kids[t.seen].Key] = t.seen
		}
	}
	if i, ok := t.places[key]; ok {
		return i
	}
	return -1
}

// Get returns the entry of a map, or nil.
func (f *Finder) Get(n *Node, key string) *Node {
	if i := f.Index(n, key); i >= 0 {
		return n.Kids[i].Node
	}
	return nil
}

// At follows one segment of a path: a key, or an index into a list. It returns nil if nothing is there.
func (f *Finder) At(n *Node, segment string) *Node {
	if n == nil || n.Kind != List {
		return f.Get(n, segment)
	}
	i, err := strconv.Atoi(segment)
	if err != nil || i < 0 || i >= len(n.Kids) || segment != strconv.Itoa(i) {
		return nil
	}
	return n.Kids[i].Node
}

// Forget drops the table of a map that got other entries.
func (f *Finder) Forget(n *Node) { delete(*f, n) }
