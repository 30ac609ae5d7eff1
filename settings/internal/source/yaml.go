package source

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// MaxExpanded bounds what anchors and merge keys may grow to, so that a few lines cannot ask for gigabytes
// ("billion laughs").
const MaxExpanded = 100_000

// YAML reads one document.
func (r *Reading) YAML(data []byte) *Node {
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil {
		r.failYAML(data, err)
		return nil
	}
	if bytes.Contains(data, []byte("\n---")) || bytes.Contains(data, []byte("\n...")) {
		r.secondDocument(data)
	}
	if len(doc.Content) == 0 {
		return nil
	}
	y := &yamlReader{r: r, slab: newSlab(r.From, data)}
	return y.node(doc.Content[0])
}

// secondDocument reports a second document, which Unmarshal ignores in silence.
func (r *Reading) secondDocument(data []byte) {
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc, next yaml.Node
	if dec.Decode(&doc) != nil {
		return
	}
	switch err := dec.Decode(&next); {
	case err == nil:
		r.fail(Syntax, next.Line, next.Column, "expected one document, found a second: only the first would be read")
	case !errors.Is(err, io.EOF):
		r.failYAML(data, err)
	}
}

// yamlMessage returns the parser's complaint about data, or "".
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
	r        *Reading
	slab     Slab
	find     Finder
	open     []*yaml.Node // anchored nodes that are being read, to see a cycle
	aliased  int          // how many aliases deep
	expanded int
	tooMuch  bool
}

func (y *yamlReader) fail(n *yaml.Node, kind MistakeKind, problem string) {
	y.r.fail(kind, n.Line, n.Column, problem)
}

func (y *yamlReader) node(n *yaml.Node) *Node {
	out := y.slab.New()
	out.Line, out.Col = int32(n.Line), int32(n.Column)
	if y.aliased > 0 {
		if y.expanded++; y.expanded > MaxExpanded {
			if !y.tooMuch {
				y.tooMuch = true
				y.fail(n, Syntax, "its anchors grow to more than 100000 values")
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
		out.Kind = Map
		y.mapping(n, out)
	case yaml.SequenceNode:
		out.Kind = List
		out.Kids = make([]Kid, len(n.Content))
		for i, c := range n.Content {
			out.Kids[i].Node = y.node(c)
		}
	case yaml.AliasNode:
		return y.alias(n, out)
	}
	return out
}

func (y *yamlReader) alias(n *yaml.Node, out *Node) *Node {
	for _, open := range y.open {
		if open == n.Alias {
			y.fail(n, Cycle, "the anchor that this names holds itself")
			out.Bad = true
			return out
		}
	}
	y.aliased++
	out = y.node(n.Alias)
	y.aliased--
	return out
}

func (y *yamlReader) mapping(n *yaml.Node, out *Node) {
	out.Kids = make([]Kid, 0, len(n.Content)/2)
	var merges []*yaml.Node
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		if k.Kind == yaml.AliasNode {
			k = k.Alias
		}
		if k.Kind != yaml.ScalarNode {
			y.fail(k, Syntax, "expected a key, found a list or section as a key")
			continue
		}
		if k.Tag == "!!merge" {
			merges = append(merges, v)
			continue
		}
		out.Kids = append(out.Kids, Kid{Key: k.Value, Line: int32(k.Line), Col: int32(k.Column), Node: y.node(v)})
	}
	y.r.duplicates(out)
	for _, m := range merges {
		y.merge(m, out)
	}
}

// merge puts what "<<" names under the keys that stand in the map itself; of several maps an earlier goes before
// a later, as the yaml merge type says.
func (y *yamlReader) merge(m *yaml.Node, out *Node) {
	sources := []*yaml.Node{m}
	if m.Kind == yaml.SequenceNode {
		sources = m.Content
	}
	for _, s := range sources {
		from := y.node(s)
		if from.Kind != Map {
			if !y.tooMuch {
				y.fail(s, WrongType, "expected a section to merge (<<), found "+from.What(true))
			}
			continue
		}
		for _, k := range from.Kids {
			if y.find.Get(out, k.Key) == nil {
				out.Kids = append(out.Kids, k)
			}
		}
	}
}

func (y *yamlReader) scalar(n *yaml.Node, out *Node) {
	out.Text = n.Value
	const quoted = yaml.DoubleQuotedStyle | yaml.SingleQuotedStyle | yaml.LiteralStyle | yaml.FoldedStyle
	out.Plain = n.Style&(quoted|yaml.TaggedStyle) == 0
	switch n.Tag {
	case "!!null":
		out.Kind = Null
	case "!!bool":
		out.Kind = Bool
		if text := strings.ToLower(n.Value); text != "true" && text != "false" {
			out.Kind, out.Plain = String, true // after the tag !!bool, yes is as good
		}
	case "!!int":
		out.Kind = Int
	case "!!float":
		out.Kind = Float
		if out.Plain && strings.Trim(strings.TrimLeft(n.Value, "+-"), "0123456789") == "" {
			out.Kind = Int // one that no int64 holds
		}
	case "!!timestamp":
		out.Kind = Time
	case "!!str", "!!merge":
		out.Kind = String
		y.r.noteDot(n.Value)
		if out.Plain && strings.ContainsAny(n.Value, "eE") && hugeNumber(n.Value) {
			out.Kind = Float
		}
	case "!!binary":
		out.Kind, out.Literal = String, true
		raw, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(n.Value), ""))
		if err != nil {
			out.Bad = true
			y.fail(n, WrongType, "expected base64 after !!binary")
		}
		out.Text = string(raw)
	default:
		out.Kind, out.Bad = String, true
		y.fail(n, Syntax, "a value that begins with ! has a tag, and this tag is not known: "+
			"put the value in quotes, or use !!str, !!int, !!float, !!bool, !!null or !!binary")
	}
}

// hugeNumber reports whether a text is a number that no float64 holds, which the yaml package takes for a string.
func hugeNumber(text string) bool {
	if strings.Trim(text, "0123456789+-.eE") != "" {
		return false
	}
	_, err := strconv.ParseFloat(text, 64)
	return errors.Is(err, strconv.ErrRange)
}
