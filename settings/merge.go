package settings

import "strings"

// merge joins two values of one path, upper being of the stronger source.
// Maps are joined key by key, lower taking the entries; what a layout or a tag
// wants otherwise is found again in own and over. Neither may be in use elsewhere.
func merge(lower, upper *node) *node {
	switch {
	case lower == nil:
		return upper
	case upper.kind == mapNode && lower.kind == mapNode:
		return mergeMaps(lower, upper)
	case upper.kind == mapNode && lower.kind == listNode && byIndex(upper):
		return mergeElements(lower, upper)
	case upper.kind == mapNode && isAlias(lower):
		upper.edit().base = lower
	}
	upper.over = lower
	return upper
}

func mergeMaps(lower, upper *node) *node {
	lower.edit().own = upper
	if upper.from.file != "" {
		// A section stands where a file has it, not where a variable reaches in.
		lower.from, lower.line, lower.col = upper.from, upper.line, upper.col
		lower.edit().name = upper.more().name
	}
	index := indexOf(lower.kids)
	for _, k := range upper.kids {
		i := index(k.key)
		if i < 0 {
			lower.kids = append(lower.kids, k)
			continue
		}
		old := &lower.kids[i]
		merged := merge(old.node, k.node)
		if k.from.file == "" && merged.kind == mapNode {
			old.node = merged
		} else {
			k.node = merged
			*old = k
		}
	}
	return lower
}

// overlay is mergeMaps for a lower map that is in use elsewhere: it copies what
// upper touches and shares the rest.
func overlay(lower, upper *node) *node {
	out := *lower
	out.rare = &rare{own: upper, name: upper.more().name}
	out.from, out.line, out.col = upper.from, upper.line, upper.col
	out.kids = append([]kid(nil), lower.kids...)
	index := indexOf(lower.kids)
	for _, k := range upper.kids {
		switch i := index(k.key); {
		case i < 0:
			out.kids = append(out.kids, k)
		case k.kind == mapNode && out.kids[i].kind == mapNode:
			k.node = overlay(out.kids[i].node, k.node)
			out.kids[i] = k
		default:
			k.over = out.kids[i].node
			out.kids[i] = k
		}
	}
	return &out
}

// present is what the sources give a struct's section: a null gives it nothing
// ("tasks:" with every line below it commented out), so what weaker sources
// gave stays. It copies what it joins.
func present(n *node) *node {
	switch {
	case n == nil || n.over == nil:
	case n.kind == nullNode:
		return present(n.over)
	case n.kind == mapNode && n.over.kind == nullNode:
		if base := present(n.over); base.kind == mapNode {
			return besides(base, n)
		}
	}
	return n
}

// besides is overlay for maps that are both in use elsewhere.
func besides(lower, upper *node) *node {
	out := *upper
	out.rare = &rare{own: upper, name: upper.more().name}
	out.over = nil
	out.kids = append([]kid(nil), lower.kids...)
	index := indexOf(lower.kids)
	for _, k := range upper.kids {
		i := index(k.key)
		switch {
		case i < 0:
			out.kids = append(out.kids, k)
			continue
		case k.kind == mapNode && k.over == nil && out.kids[i].kind == mapNode:
			k.node = besides(out.kids[i].node, k.node)
		case k.kind == nullNode && k.over == nil:
			null := *k.node
			null.over, k.node = out.kids[i].node, &null
		}
		out.kids[i] = k
	}
	return &out
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
	if n.from.file != "" && n.more().name == "" || len(n.kids) == 0 {
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
func mergeElements(lower, upper *node) *node {
	whole := *lower
	out := &whole
	out.kids = append([]kid(nil), lower.kids...)
	out.rare = &rare{own: upper, name: lower.more().name}
	out.over = lower
	added := map[int]*node{}
	for _, k := range upper.kids {
		if i, _ := index(k.key); i < len(lower.kids) {
			out.kids[i].node = merge(lower.kids[i].node, k.node)
		} else {
			added[i] = k.node
		}
	}
	for next := added[len(out.kids)]; next != nil; next = added[len(out.kids)] {
		delete(added, len(out.kids))
		out.kids = append(out.kids, kid{node: next})
	}
	if len(added) > 0 {
		upper.over = lower
		return upper
	}
	return out
}

// isAlias tells whether a value is to be looked up: a string that begins with
// a dot and is followed by something, and is no path.
func isAlias(n *node) bool {
	return (n.kind == stringNode || n.kind == textNode) && !n.literal && len(n.text) > 1 && n.text[0] == '.' && !isPath(n.text)
}

func isPath(s string) bool {
	return s == ".." || strings.HasPrefix(s, "./") || strings.HasPrefix(s, "../")
}
