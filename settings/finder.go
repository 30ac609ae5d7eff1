package settings

// finder finds the entries of large maps by a table, so that a file of a
// hundred thousand keys takes a second and not an hour. It is of one goroutine
// and lives as long as one reading; maps may grow meanwhile at their end.
type finder map[*node]*table

type table struct {
	places map[string]int
	seen   int // how many entries the table has
}

// manyKids is where a table begins to pay.
const manyKids = 32

// place is the index of the first entry with the key, or -1.
func (f *finder) place(n *node, key string) int {
	if n == nil || n.kind != mapNode {
		return -1
	}
	if len(n.kids) <= manyKids {
		for i := range n.kids {
			if n.kids[i].key == key {
				return i
			}
		}
		return -1
	}
	if *f == nil {
		*f = finder{}
	}
	t := (*f)[n]
	if t == nil {
		t = &table{places: make(map[string]int, len(n.kids))}
		(*f)[n] = t
	}
	for ; t.seen < len(n.kids); t.seen++ {
		if _, again := t.places[n.kids[t.seen].key]; !again {
			t.places[n.kids[t.seen].key] = t.seen
		}
	}
	if i, ok := t.places[key]; ok {
		return i
	}
	return -1
}

// get is the entry of a map, or nil.
func (f *finder) get(n *node, key string) *node {
	if i := f.place(n, key); i >= 0 {
		return n.kids[i].node
	}
	return nil
}

// at follows one segment of a path: a key, or an index into a list.
func (f *finder) at(n *node, segment string) *node {
	if n != nil && n.kind == mapNode {
		return f.get(n, segment)
	}
	return n.at(segment)
}

// forget is for a map whose entries were put in another order.
func (f *finder) forget(n *node) { delete(*f, n) }
