package settings

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// maxExpanded bounds what anchors and merge keys may grow to, so that a few
// lines cannot ask for gigabytes ("billion laughs").
const maxExpanded = 100_000

// parseYAML reads one document. It is the only use of the yaml package.
func parseYAML(o *opening, from *origin, data []byte) *node {
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil {
		o.fail(yamlSyntax(from.file, data, err))
		return nil
	}
	if bytes.Contains(data, []byte("\n---")) || bytes.Contains(data, []byte("\n...")) {
		secondDocument(o, from, data)
	}
	if len(doc.Content) == 0 {
		return nil
	}
	y := &yamlReader{o: o, slab: newSlab(from, data)}
	return y.node(doc.Content[0])
}

// secondDocument tells what Unmarshal passes over in silence.
func secondDocument(o *opening, from *origin, data []byte) {
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc, next yaml.Node
	if dec.Decode(&doc) != nil {
		return
	}
	switch err := dec.Decode(&next); {
	case err == nil:
		o.fail(&Error{Kind: KindSyntax, Pos: Position{File: from.file, Line: next.Line, Column: next.Column},
			Problem: "expected one document, found a second: only the first would be read"})
	case !errors.Is(err, io.EOF):
		o.fail(yamlSyntax(from.file, data, err))
	}
}

// yamlMessage gives the parser's complaint about data, or "".
func yamlMessage(data []byte) (msg string) {
	defer func() {
		if recover() != nil {
			msg = "panic"
		}
	}()
	dec := yaml.NewDecoder(bytes.NewReader(data))
	for {
		var n yaml.Node
		err := dec.Decode(&n)
		if errors.Is(err, io.EOF) {
			return ""
		}
		if err != nil {
			return err.Error()
		}
	}
}

type yamlReader struct {
	o        *opening
	slab     slab
	find     finder
	open     []*yaml.Node // anchored nodes that are being read, to see a cycle
	aliased  int          // how many aliases deep
	expanded int
	tooMuch  bool
}

func (y *yamlReader) fail(n *yaml.Node, kind Kind, problem string) {
	y.o.fail(&Error{Kind: kind, Pos: Position{File: y.slab.from.file, Line: n.Line, Column: n.Column}, Problem: problem})
}

func (y *yamlReader) node(n *yaml.Node) *node {
	out := y.slab.new()
	out.line, out.col = int32(n.Line), int32(n.Column)
	if y.aliased > 0 {
		if y.expanded++; y.expanded > maxExpanded {
			if !y.tooMuch {
				y.tooMuch = true
				y.fail(n, KindSyntax, "its anchors grow to more than 100000 values")
			}
			return out
		}
	}
	if n.Anchor != "" {
		y.open = append(y.open, n)
		defer func() { y.open = y.open[:len(y.open)-1] }()
	}
	switch n.Kind {
	case yaml.ScalarNode:
		y.scalar(n, out)
	case yaml.MappingNode:
		out.kind = mapNode
		y.mapping(n, out)
	case yaml.SequenceNode:
		out.kind = listNode
		out.kids = make([]kid, len(n.Content))
		for i, c := range n.Content {
			out.kids[i].node = y.node(c)
		}
	case yaml.AliasNode:
		return y.alias(n, out)
	}
	return out
}

func (y *yamlReader) alias(n *yaml.Node, out *node) *node {
	for _, open := range y.open {
		if open == n.Alias {
			y.fail(n, KindAlias, "the anchor that this names holds itself")
			out.bad = true
			return out
		}
	}
	y.aliased++
	out = y.node(n.Alias)
	y.aliased--
	return out
}

func (y *yamlReader) mapping(n *yaml.Node, out *node) {
	out.kids = make([]kid, 0, len(n.Content)/2)
	var merges []*yaml.Node
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		if k.Kind == yaml.AliasNode {
			k = k.Alias
		}
		if k.Kind != yaml.ScalarNode {
			y.fail(k, KindSyntax, "expected a key, found a list or section as a key")
			continue
		}
		if k.Tag == "!!merge" {
			merges = append(merges, v)
			continue
		}
		out.kids = append(out.kids, kid{key: k.Value, line: int32(k.Line), col: int32(k.Column), node: y.node(v)})
	}
	duplicates(out.kids, func(again, first kid) { y.o.failDuplicate(again, first) })
	for _, m := range merges {
		y.merge(m, out)
	}
}

// merge puts what "<<" names under the keys that stand in the map itself; of
// several maps an earlier goes before a later, as the yaml merge type says.
func (y *yamlReader) merge(m *yaml.Node, out *node) {
	sources := []*yaml.Node{m}
	if m.Kind == yaml.SequenceNode {
		sources = m.Content
	}
	for _, s := range sources {
		from := y.node(s)
		if from.kind != mapNode {
			if !y.tooMuch {
				y.fail(s, KindType, "expected a section to merge (<<), found "+from.what(true))
			}
			continue
		}
		for _, k := range from.kids {
			if y.find.get(out, k.key) == nil {
				out.kids = append(out.kids, k)
			}
		}
	}
}

func (y *yamlReader) scalar(n *yaml.Node, out *node) {
	out.text = n.Value
	out.plain = n.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle|yaml.TaggedStyle) == 0
	switch n.Tag {
	case "!!null":
		out.kind = nullNode
	case "!!bool":
		out.kind = boolNode
		if text := strings.ToLower(n.Value); text != "true" && text != "false" {
			out.kind, out.plain = stringNode, true // after the tag !!bool, yes is as good
		}
	case "!!int":
		out.kind = intNode
	case "!!float":
		out.kind = floatNode
		if out.plain && strings.Trim(strings.TrimLeft(n.Value, "+-"), "0123456789") == "" {
			out.kind = intNode // one that no int64 holds
		}
	case "!!timestamp":
		out.kind = timeNode
	case "!!str", "!!merge":
		out.kind = stringNode
		if strings.HasPrefix(n.Value, ".") {
			y.o.dotted = true
		}
		if out.plain && strings.ContainsAny(n.Value, "eE") && hugeNumber(n.Value) {
			out.kind = floatNode
		}
	case "!!binary":
		out.kind, out.literal = stringNode, true
		raw, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(n.Value), ""))
		if err != nil {
			out.bad = true
			y.fail(n, KindType, "expected base64 after !!binary")
		}
		out.text = string(raw)
	default:
		out.kind, out.bad = stringNode, true
		y.fail(n, KindSyntax, "a value that begins with ! has a tag, and this tag is not known: put the value in quotes, or use !!str, !!int, !!float, !!bool, !!null or !!binary")
	}
}

// hugeNumber reports whether a text is a number that no float64 holds, which
// the yaml package takes for a string.
func hugeNumber(text string) bool {
	if strings.Trim(text, "0123456789+-.eE") != "" {
		return false
	}
	_, err := strconv.ParseFloat(text, 64)
	return errors.Is(err, strconv.ErrRange)
}

func (o *opening) failDuplicate(again, first kid) {
	pos := again.keyPos()
	where := ""
	if first.line > 0 {
		where = " on line " + itoa(int(first.line))
	}
	o.fail(&Error{Kind: KindDuplicate, Pos: pos, Problem: "the key " + quoteKey(again.key) + " is given already" + where})
}
