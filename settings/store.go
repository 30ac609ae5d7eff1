package settings

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/sambatech/chassis/settings/internal/source"
)

// Store holds settings outside of the program's files and its environment, like the parameters of a cloud. What it
// has is named by addresses: a scheme, a colon and a name, like ssm:/mailer/token. Its methods are called from
// several goroutines, and each bounds its own time.
//
// A store remembers what it has read: Read answers from there, and Watch keeps it fresh. So a reload does not wait
// for the store, and one that is away keeps what it gave.
type Store interface {
	// Schemes lists how the store's addresses begin, without the colon.
	Schemes() []string

	// Read returns what is at each of the addresses, in their order. The first question for an address waits for the
	// store; a later one returns what was read last.
	Read(ctx context.Context, addresses []string) []Found

	// Watch reads again, now and then, what was read before, until ctx ends. It calls notify with nil after
	// something has changed, once with an error when something cannot be read any more, and with nil when that is
	// over.
	Watch(ctx context.Context, notify func(error))
}

// Found is what a [Store] has at an address: Data, List or Under.
type Found struct {
	Address string // where the value is, for messages; "" is the address that was asked for
	Version string // of the value, for messages, like "v7"
	Secret  bool   // the value is never shown, whatever the setting is

	Data   []byte
	Format Format // of Data: YAML, TOML or JSON; 0 is a text, and the layout says what it is
	List   []string
	Under  map[string]Found // what is below a path, by its dotted path from there

	Err error // why there is nothing; it is [fs.ErrNotExist] where the store has nothing there
}

// From lets the sources refer to what a store holds, and makes the addresses sources themselves.
//
// A string of any source that begins with one of the store's schemes and a colon, like ssm:/mailer/token, is a
// reference: the value at that address takes its place. A section may be one reference, too. A reference that a
// stronger source hides is not read. In what a store gives as a single value nothing is a reference. With two
// colons, ssm::text is the text "ssm:text".
//
// What is at addresses is a source each, in the order of precedence a [File] that stands here.
func From(store Store, addresses ...string) Option { return storeOption{store, addresses, false} }

// FromOptional is [From] for addresses that may have nothing, and for a store that may be away at the start. What
// it has later is a change.
func FromOptional(store Store, addresses ...string) Option {
	return storeOption{store, addresses, true}
}

type storeOption struct {
	store     Store
	addresses []string
	optional  bool
}

func (s storeOption) apply(c *config) {
	if !slices.Contains(c.stores, s.store) {
		c.stores = append(c.stores, s.store)
	}
	if len(s.addresses) == 0 {
		return
	}
	Source{rank: source.File, label: s.addresses[0], read: s.read}.apply(c)
}

// Context ends the reading of stores with ctx, before their own time limits do.
func Context(ctx context.Context) Option { return optionFunc(func(c *config) { c.ctx = ctx }) }

// Stores lists the stores of the options, which a watcher has to watch.
func Stores(options ...Option) []Store { return newConfig(options).stores }

func (s storeOption) read(o *opening) (out []*source.Node) {
	for i, found := range readStore(o.config.ctx, s.store, s.addresses) {
		found.Address = cmp.Or(found.Address, s.addresses[i])
		if found.Err != nil {
			if !s.optional {
				o.fail(&Error{Kind: KindSource, Pos: Position{File: found.Address}, Problem: found.Err.Error(),
					Err: found.Err})
			}
			continue
		}
		if n := o.sections(&found); n != nil {
			out = append(out, n)
		}
	}
	return out
}

// readStore reads addresses. A store that panics or answers another question costs a message, not the process.
func readStore(ctx context.Context, store Store, addresses []string) (found []Found) {
	wrong := func(err error) {
		found = make([]Found, len(addresses))
		for i := range found {
			found[i].Err = err
		}
	}
	defer func() {
		if p := recover(); p != nil {
			wrong(fmt.Errorf("the store panicked: %v", p))
		}
	}()
	if ctx == nil {
		ctx = context.Background()
	}
	if found = store.Read(ctx, addresses); len(found) != len(addresses) {
		wrong(fmt.Errorf("the store gave %d answers to %d questions", len(found), len(addresses)))
	}
	return found
}

// sections returns what stands at the top of the tree, or nil with its mistakes noted.
func (o *opening) sections(found *Found) *source.Node {
	from := o.origin(found, o.rank)
	if found.Under != nil {
		return o.under(found, from)
	}
	format := found.Format
	if text := strings.TrimSpace(string(found.Data)); format == 0 && strings.HasPrefix(text, "{") {
		format = JSON
	}
	r := &source.Reading{From: from}
	defer o.take(r)
	switch format {
	case YAML:
		return r.Sections("yaml", found.Data, r.YAML)
	case TOML:
		return r.Sections("toml", found.Data, r.TOML)
	case JSON:
		return r.Sections("json", found.Data, r.JSON)
	}
	o.fail(&Error{Kind: KindType, Pos: positionOf(&source.Node{From: from}),
		Problem: "is a single value, and a source has sections: write it where a setting refers to it, as " +
			found.Address})
	return nil
}

// origin is where the values of an answer come from.
func (o *opening) origin(found *Found, rank source.Rank) *source.Origin {
	o.secretive = o.secretive || found.Secret
	return &source.Origin{File: found.Address, Rank: rank, Stored: true, Version: found.Version, Secret: found.Secret}
}

// under makes sections of what is below a path.
func (o *opening) under(found *Found, from *source.Origin) *source.Node {
	root := &source.Node{Kind: source.Map, From: from}
	var find source.Finder
	for _, path := range sortedPaths(found.Under) {
		one := found.Under[path]
		one.Address = cmp.Or(one.Address, found.Address)
		origin := o.origin(&one, from.Rank)
		origin.Referenced = from.Referenced
		value := o.single(&one, origin)
		if value == nil {
			continue
		}
		segments := strings.Split(path, ".")
		n := root
		for _, key := range segments[:len(segments)-1] {
			next := find.Get(n, key)
			if next == nil {
				next = &source.Node{Kind: source.Map, From: from}
				n.Kids = append(n.Kids, source.Kid{Key: key, Node: next})
			}
			if n = next; n.Kind != source.Map {
				break
			}
		}
		last := segments[len(segments)-1]
		if n.Kind != source.Map || find.Get(n, last) != nil {
			o.fail(&Error{Kind: KindDuplicate, Pos: positionOf(value), Path: path,
				Problem: "is a single value and a section at the same time: remove the one or the other"})
			continue
		}
		n.Kids = append(n.Kids, source.Kid{Key: last, Node: value})
	}
	return root
}

// single returns one value, or nil with its mistakes noted.
func (o *opening) single(found *Found, from *source.Origin) *source.Node {
	r := &source.Reading{From: from}
	defer o.take(r)
	switch {
	case found.Err != nil:
		o.fail(&Error{Kind: KindSource, Pos: positionOf(&source.Node{From: from}), Problem: found.Err.Error(),
			Err: found.Err})
		return nil
	case found.List != nil:
		n := &source.Node{Kind: source.List, From: from, Literal: true}
		for _, text := range found.List {
			elem := &source.Node{Kind: source.Text, Text: text, From: from, Literal: true}
			n.Kids = append(n.Kids, source.Kid{Node: elem})
		}
		return n
	case found.Under != nil:
		return o.under(found, from)
	case found.Format != 0:
		n := o.sections(found)
		if n != nil {
			setOrigin(n, from)
		}
		return n
	}
	data, ok := r.Text(found.Data)
	if !ok {
		return nil
	}
	return &source.Node{Kind: source.Text, Text: string(data), From: from, Literal: true}
}

// setOrigin gives a tree another origin, and makes its strings no aliases and no references.
func setOrigin(n *source.Node, from *source.Origin) {
	n.From, n.Literal = from, true
	for _, k := range n.Kids {
		setOrigin(k.Node, from)
	}
}

func sortedPaths(under map[string]Found) []string {
	paths := make([]string, 0, len(under))
	for path := range under {
		paths = append(paths, path)
	}
	slices.Sort(paths)
	return paths
}
