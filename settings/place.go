package settings

import (
	"slices"
	"strconv"
	"strings"

	"github.com/sambatech/chassis/settings/internal/source"
)

func positionOf(n *source.Node) Position {
	if n == nil || n.From == nil {
		return Position{}
	}
	p := Position{File: n.From.File, Version: n.From.Version, Name: n.More().Name, Line: int(n.Line),
		Column: int(n.Col)}
	if ref := n.More().Ref; ref != nil {
		p.Name = positionOf(ref).String()
	}
	return p
}

// keyPosition is where an unknown or doubled key is reported: at the key.
func keyPosition(k source.Kid) Position {
	p := positionOf(k.Node)
	if ref := k.More().Ref; ref != nil {
		p = positionOf(ref)
	}
	p.Line, p.Column = k.KeyPlace()
	return p
}

// joinPath writes a dotted path. A segment with a dot in it is quoted: a message cannot be read two ways. A key
// that is a URL is shown without its password.
func joinPath(segments []string) string {
	quoted := func(s string) bool { return s == "" || strings.ContainsAny(s, ". \t\n") || strings.Contains(s, "://") }
	if !slices.ContainsFunc(segments, quoted) {
		return strings.Join(segments, ".")
	}
	parts := slices.Clone(segments)
	for i, s := range parts {
		if quoted(s) {
			parts[i] = strconv.Quote(Redacted(s))
		}
	}
	return strings.Join(parts, ".")
}

// Redacted returns text with xxxxx in place of the password of each URL in it. It finds URLs that do not parse
// too: a mistake in a port must not show the password before it. Text without a URL that has a user comes back as
// it is.
func Redacted(text string) string { return source.Redacted(text) }
