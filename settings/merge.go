package settings

import "strings"

// merge joins two values of one path, upper being of the stronger source.
// Maps are joined key by key; what a layout or a tag wants otherwise is found
// again in own and over. Both are consumed.
func merge(s *slab, lower, upper *node) *node {
	switch {
	case lower == nil:
		return upper
	case upper.kind == mapNode && lower.kind == mapNode:
		return mergeMaps(s, lower, upper)
	case upper.kind == mapNode && lower.kind == listNode && byIndex(upper):
		return mergeElements(s, lower, upper)
	case upper.kind == mapNode && isAlias(lower):
		upper.base = lower
	}
	upper.over = lower
	return upper
}

func mergeMaps(s *slab, lower, upper *node) *node {
	out := s.new()
	*out = *upper
	out.own, out.over, out.base = upper, lower, lower.base
	if upper.from.file == "" {
		// A section stands where a file has it, not where a variable reaches in.
		out.from, out.name, out.line, out.col = lower.from, lower.name, lower.line, lower.col
	}
	out.kids = make([]kid, len(lower.kids), len(lower.kids)+len(upper.kids))
	copy(out.kids, lower.kids)
	index := indexOf(lower.kids)
	for _, k := range upper.kids {
		i := index(k.key)
		if i < 0 {
			out.kids = append(out.kids, k)
			continue
		}
		old := out.kids[i]
		merged := merge(s, old.node, k.node)
		if k.from.file == "" && merged.kind == mapNode {
			old.node = merged
			out.kids[i] = old
		} else {
			k.node = merged
			out.kids[i] = k
		}
	}
	return out
}

// indexOf finds keys: by looking for small maps, by a table for large ones.
func indexOf(kids []kid) func(string) int {
	if len(kids) <= 24 {
		return func(key string) int {
			for i := range kids {
				if kids[i].key == key {
					return i
				}
			}
			return -1
		}
	}
	table := make(map[string]int, len(kids))
	for i := range kids {
		table[kids[i].key] = i
	}
	return func(key string) int {
		if i, ok := table[key]; ok {
			return i
		}
		return -1
	}
}

// byIndex tells whether a map of variables (PREFIX_LIST__0) names elements.
func byIndex(n *node) bool {
	if n.from.file != "" && n.name == "" || len(n.kids) == 0 {
		return false
	}
	for _, k := range n.kids {
		if _, ok := index(k.key); !ok {
			return false
		}
	}
	return true
}

// index reads a list index without sign and without leading zeros.
func index(s string) (int, bool) {
	if s == "" || len(s) > 6 || len(s) > 1 && s[0] == '0' {
		return 0, false
	}
	n := 0
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		n = n*10 + int(s[i]-'0')
	}
	return n, true
}

// mergeElements puts single elements into a list: those within it replace,
// the next ones after it are added. An index past that leaves the map as it
// is, for the layout to tell.
func mergeElements(s *slab, lower, upper *node) *node {
	out := s.new()
	*out = *lower
	out.kids = append([]kid(nil), lower.kids...)
	out.own, out.over = upper, lower
	for n := 0; n < len(upper.kids); n++ {
		for _, k := range upper.kids {
			i, _ := index(k.key)
			switch {
			case i < len(lower.kids) && n == 0:
				out.kids[i].node = merge(s, lower.kids[i].node, k.node)
			case i == len(out.kids):
				out.kids = append(out.kids, kid{node: k.node})
			}
		}
	}
	for _, k := range upper.kids {
		if i, _ := index(k.key); i >= len(out.kids) {
			upper.over = lower
			return upper
		}
	}
	return out
}

// isAlias tells whether a value is to be looked up: a string that begins with
// a dot and is followed by something.
func isAlias(n *node) bool {
	return (n.kind == stringNode || n.kind == textNode) && !n.literal && len(n.text) > 1 && strings.HasPrefix(n.text, ".")
}
