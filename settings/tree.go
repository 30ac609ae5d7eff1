package settings

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/sambatech/chassis/internal/spelling"
	"github.com/sambatech/chassis/settings/internal/source"
)

// Tree is the sources of a service, parsed and merged, before any layout has said what they mean. It may be used
// from any number of goroutines.
type Tree struct {
	root     *source.Node
	config   *config
	errs     []*Error // of the sources
	warns    []*Error
	broken   bool // a source could not be read, so what is missing may stand there
	prefixes []string
	// secretive says that a store gave a secret.
	secretive bool
	file      string // the first that was read, or would be

	mu      sync.Mutex
	claimed map[string]bool // top-level keys that layouts have asked for
}

// Open reads, merges and resolves the sources. Where some could not be read the error is an [Errors], and the
// tree holds what could, and Decode finds the other mistakes as well.
func Open(options ...Option) (*Tree, error) {
	t := open(newConfig(options))
	return t, join(t.errs)
}

func open(c *config) *Tree {
	sources := slices.Clone(c.sources)
	slices.SortStableFunc(sources, func(a, b Source) int { return int(a.rank) - int(b.rank) })
	t := &Tree{config: c, claimed: map[string]bool{}}
	o, found := &opening{config: c, rank: source.File}, false
	for i, part := range readAll(c, sources) {
		src, nodes := sources[i], part.nodes
		o.dotted, o.secretive = o.dotted || part.dotted, o.secretive || part.secretive
		for _, e := range part.errs {
			o.fail(e)
		}
		for _, n := range nodes {
			t.root = merge(t.root, n)
		}
		if src.label != "" && (t.file == "" || !found && len(nodes) > 0) {
			t.file, found = src.label, len(nodes) > 0
		}
		if src.prefix != "" && !slices.Contains(t.prefixes, src.prefix) {
			t.prefixes = append(t.prefixes, src.prefix)
		}
	}
	if t.root == nil {
		t.root = &source.Node{Kind: source.Map, From: &source.Origin{}}
	}
	o.resolveReferences(t.root)
	t.secretive = o.secretive
	if o.dotted {
		errs, warns := resolveAliases(t.root)
		o.errs = append(o.errs, errs...)
		t.warns = warns
	}
	t.errs = o.errs
	t.broken = slices.ContainsFunc(o.errs, func(e *Error) bool { return e.Kind == KindSyntax || e.Kind == KindSource })
	return t
}

// part is what one source has given.
type part struct {
	opening
	nodes []*source.Node
}

// readAll reads the sources, files at the same time: parsing them is nearly all that a load costs.
func readAll(c *config, sources []Source) []part {
	parts := make([]part, len(sources))
	var files sync.WaitGroup
	last := -1 // the file that is read here
	for i := range sources {
		if sources[i].parses() {
			last = i
		}
	}
	for i := range sources {
		p := &parts[i]
		p.config, p.rank = c, sources[i].rank
		read := func() { p.nodes = sources[i].read(&p.opening) }
		if i < last && sources[i].parses() {
			files.Go(read)
		} else {
			read()
		}
	}
	files.Wait()
	return parts
}

// Warnings is what is no mistake by the rules but looks like one: a string that begins with a dot and nearly
// names something.
func (t *Tree) Warnings() []*Error { return slices.Clone(t.warns) }

// Get returns the raw value at a dotted path, list elements by index: a bool, an int64, a float64, a string, a
// time.Time, nil, a []any or a map[string]any. A whole number beyond int64 is a uint64, and beyond that, as a
// number beyond float64, a json.Number with every digit. A value of a variable or a flag is a string, for no
// layout has said what it is.
func (t *Tree) Get(path string) (any, error) {
	n, err := t.find(path)
	if err != nil {
		return nil, err
	}
	return raw(n), nil
}

// Position returns where the value at a path was given.
func (t *Tree) Position(path string) (Position, error) {
	n, err := t.find(path)
	if err != nil {
		return Position{}, err
	}
	return positionOf(n), nil
}

func (t *Tree) find(path string) (*source.Node, error) {
	segments, err := splitPath(path)
	if err != nil {
		return nil, err
	}
	n := t.root
	for i, s := range segments {
		next := n.At(s)
		if next == nil {
			return nil, missing(path, segments[:i], s, n)
		}
		n = next
	}
	return n, nil
}

func missing(path string, before []string, segment string, n *source.Node) error {
	e := &Error{Kind: KindUnknown, Pos: positionOf(n), Path: path}
	switch n.Kind {
	case source.Map:
		var known []string
		for _, k := range n.Kids {
			known = append(known, k.Key)
		}
		e.Problem = "there is no " + source.QuoteKey(segment)
		if len(before) > 0 {
			e.Problem += " in " + joinPath(before)
		}
		if near := spelling.Nearest(segment, known); near != "" {
			e.Suggestion = joinPath(append(slices.Clone(before), near))
		}
	case source.List:
		e.Problem = fmt.Sprintf("%s is a list of %d: expected an index below that, found %s", joinPath(before),
			len(n.Kids), source.QuoteKey(segment))
	default:
		e.Problem = joinPath(before) + " is a single value and has nothing below it"
	}
	return e
}

// Unclaimed returns an [Errors] with every top-level key, and every prefixed variable, that no layout decoded from
// this tree knows. Call it once all have been decoded.
func (t *Tree) Unclaimed() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	known := slices.Collect(maps.Keys(t.claimed))
	var errs []*Error
	for _, k := range t.root.Kids {
		if t.claimed[k.Key] || k.From.Open {
			continue
		}
		e := &Error{Kind: KindUnknown, Pos: keyPosition(k), Path: k.Key,
			Problem: "no layout knows this key", Suggestion: spelling.Nearest(k.Key, known)}
		if name, ok := strings.CutPrefix(k.Key, strayKey); ok {
			e.Path, e.Problem, e.Suggestion = "", "no setting has the variable "+name, ""
		}
		errs = append(errs, e)
	}
	return join(errs)
}

func (t *Tree) claim(keys []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, k := range keys {
		t.claimed[k] = true
	}
}

func (t *Tree) isClaimed(key string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.claimed[key]
}

// raw is the value as Go has it without a layout. Aliases of aliases can make a few lines grow without end, so it
// stops at a million values.
func raw(n *source.Node) any {
	left := 10 * source.MaxExpanded
	return rawWithin(n, &left)
}

func rawWithin(n *source.Node, left *int) any {
	if *left--; *left < 0 {
		return nil
	}
	switch n.Kind {
	case source.Null:
		return nil
	case source.Bool:
		return strings.EqualFold(n.Text, "true")
	case source.Int:
		if v, err := parseInt(n.Text, 64); err == nil {
			return v
		}
		if v, err := parseUint(n.Text, 64); err == nil {
			return v
		}
		if v, ok := new(big.Int).SetString(strings.ReplaceAll(n.Text, "_", ""), 0); ok {
			return json.Number(v.String())
		}
	case source.Float:
		v, err := parseFloat(n.Text, 64)
		if err == nil {
			return v
		}
		if errors.Is(err, strconv.ErrRange) {
			return json.Number(strings.ReplaceAll(n.Text, "_", ""))
		}
	case source.Time:
		if v, err := parseTime(n.Text); err == nil {
			return v
		}
	case source.List:
		out := make([]any, len(n.Kids))
		for i := range n.Kids {
			out[i] = rawWithin(n.Kids[i].Node, left)
		}
		return out
	case source.Map:
		out := make(map[string]any, len(n.Kids))
		for _, k := range n.Kids {
			out[k.Key] = rawWithin(k.Node, left)
		}
		return out
	}
	return n.Text
}
