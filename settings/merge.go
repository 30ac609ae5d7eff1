package settings

import (
	"slices"
	"strings"

	"github.com/sambatech/chassis/settings/internal/source"
)

// merge joins two values of one path; upper is of the stronger source. Maps are joined key by key into lower.
// What a layout or a tag wants otherwise is found again in Own and Over. Neither may be in use elsewhere.
func merge(lower, upper *source.Node) *source.Node {
	switch {
	case lower == nil:
		return upper
	case upper.Kind == source.Map && lower.Kind == source.Map:
		return mergeMaps(lower, upper)
	case upper.Kind == source.Map && lower.Kind == source.List && byIndex(upper):
		return mergeElements(lower, upper)
	case upper.Kind == source.Map && (lower.Kind == source.String || lower.Kind == source.Text) && !lower.Literal:
		// Perhaps an alias of a section, or a reference to one.
		upper.Edit().Base = lower
	}
	upper.Over = lower
	return upper
}

func mergeMaps(lower, upper *source.Node) *source.Node {
	lower.Edit().Own = upper
	if upper.From.File != "" {
		// A section stands where a file has it, not where a variable reaches in.
		lower.From, lower.Line, lower.Col = upper.From, upper.Line, upper.Col
		lower.Edit().Name = upper.More().Name
	}
	var find source.Finder
	for _, k := range upper.Kids {
		i := find.Index(lower, k.Key)
		if i < 0 {
			lower.Kids = append(lower.Kids, k)
			continue
		}
		old := &lower.Kids[i]
		merged := merge(old.Node, k.Node)
		if k.From.File == "" && merged.Kind == source.Map {
			old.Node = merged
		} else {
			k.Node = merged
			*old = k
		}
	}
	return lower
}

// overlay is mergeMaps for maps that are in use elsewhere: it copies what it changes.
func overlay(lower, upper *source.Node) *source.Node {
	out := *upper
	out.Rare = &source.Rare{Own: upper, Name: upper.More().Name}
	out.Over = nil
	out.Kids = slices.Clone(lower.Kids)
	var find source.Finder
	for _, k := range upper.Kids {
		i := find.Index(lower, k.Key)
		if i < 0 {
			out.Kids = append(out.Kids, k)
			continue
		}
		if base := out.Kids[i].Node; k.Kind == source.Map && k.Over == nil && base.Kind == source.Map {
			k.Node = overlay(base, k.Node)
		} else {
			k.Node = above(k.Node, base)
		}
		out.Kids[i] = k
	}
	return &out
}

// above returns a copy of n with base as the weakest of what it shadows.
func above(n, base *source.Node) *source.Node {
	out := *n
	if out.Over == nil {
		out.Over = base
	} else {
		out.Over = above(out.Over, base)
	}
	return &out
}

// present returns what the sources give a struct's section. A null gives it nothing ("tasks:" with every line
// below it commented out), and what weaker sources gave stays.
func present(n *source.Node) *source.Node {
	switch {
	case n == nil || n.Over == nil:
	case n.Kind == source.Null:
		return present(n.Over)
	case n.Kind == source.Map && n.Over.Kind == source.Null:
		if base := present(n.Over); base.Kind == source.Map {
			return overlay(base, n)
		}
	}
	return n
}

// byIndex reports whether a map of variables (PREFIX_LIST__0) names elements.
func byIndex(n *source.Node) bool {
	if n.From.File != "" && n.More().Name == "" || len(n.Kids) == 0 {
		return false
	}
	return !slices.ContainsFunc(n.Kids, func(k source.Kid) bool { _, ok := index(k.Key); return !ok })
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

// mergeElements puts single elements into a list: those within it replace, the next ones after it are added. An
// index past that leaves the map as it is, and the layout reports it.
func mergeElements(lower, upper *source.Node) *source.Node {
	out := *lower
	out.Kids = slices.Clone(lower.Kids)
	out.Rare = &source.Rare{Own: upper, Name: lower.More().Name}
	out.Over = lower
	added := map[int]*source.Node{}
	for _, k := range upper.Kids {
		if i, _ := index(k.Key); i < len(lower.Kids) {
			out.Kids[i].Node = merge(lower.Kids[i].Node, k.Node)
		} else {
			added[i] = k.Node
		}
	}
	for next := added[len(out.Kids)]; next != nil; next = added[len(out.Kids)] {
		delete(added, len(out.Kids))
		out.Kids = append(out.Kids, source.Kid{Node: next})
	}
	if len(added) > 0 {
		upper.Over = lower
		return upper
	}
	return &out
}

// isAlias reports whether a value is to be looked up: a string that begins with a dot and is followed by
// something, and is no path.
func isAlias(n *source.Node) bool {
	return (n.Kind == source.String || n.Kind == source.Text) && !n.Literal && len(n.Text) > 1 && n.Text[0] == '.' &&
		!isPath(n.Text)
}

func isPath(s string) bool {
	return s == ".." || strings.HasPrefix(s, "./") || strings.HasPrefix(s, "../")
}
