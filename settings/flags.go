package settings

import (
	"flag"
	"fmt"
	"strings"

	"github.com/sambatech/chassis/settings/internal/source"
)

// Set is settings given as "dotted.path=value", like the arguments of a program's --set; origin, here "--set",
// names them in messages. They go over everything else.
func Set(origin string, assignments []string) Source {
	return Source{rank: source.Flag, read: func(o *opening) []*source.Node {
		slab := source.NewSlab(&origin0, 8)
		root := slab.New()
		root.Kind = source.Map
		for _, a := range assignments {
			path, value, ok := strings.Cut(a, "=")
			segments, err := splitPath(path)
			if !ok || err != nil {
				o.fail(&Error{Kind: KindSyntax, Pos: Position{Name: origin}, Problem: "expected dotted.path=value, found " + source.QuoteKey(source.Clip(path))})
				continue
			}
			assign(o, &slab, root, origin+" "+path, segments, value)
		}
		return one(root)
	}}
}

var origin0 = source.Origin{Rank: source.Flag}

func assign(o *opening, s *source.Slab, root *source.Node, name string, path []string, value string) {
	if strings.HasPrefix(value, ".") {
		o.dotted = true
	}
	leaf := s.New()
	leaf.Kind, leaf.Text, leaf.Rare = source.Text, value, &source.Rare{Name: name}
	n := root
	for _, key := range path[:len(path)-1] {
		next := n.Get(key)
		if next == nil || next.Kind != source.Map {
			next = s.New()
			next.Kind, next.Rare = source.Map, &source.Rare{Name: name}
			n.Set(key, next)
		}
		n = next
	}
	n.Set(path[len(path)-1], leaf)
}

// Flags reads the flags that [Layout.Flags] has put into fs and that were given on the command line. Parse fs
// first. Other flags of fs are not looked at.
func Flags(fs *flag.FlagSet) Source {
	return Source{rank: source.Flag, read: func(o *opening) []*source.Node {
		slab := source.NewSlab(&origin0, 8)
		root := slab.New()
		root.Kind = source.Map
		fs.Visit(func(f *flag.Flag) {
			if v, ok := f.Value.(*settingFlag); ok {
				assign(o, &slab, root, "-"+f.Name, v.path, v.text)
			}
		})
		return one(root)
	}}
}

// settingFlag holds a flag's text; it is judged with all other settings, not while the command line is parsed.
type settingFlag struct {
	path    []string
	text    string
	shown   string
	boolean bool
}

func (f *settingFlag) String() string {
	if f == nil {
		return ""
	}
	return f.shown
}
func (f *settingFlag) Set(text string) error { f.text = text; return nil }

// IsBoolFlag lets -verbose stand for -verbose=true.
func (f *settingFlag) IsBoolFlag() bool { return f.boolean }

// splitPath reads a dotted path; a name that holds a dot is put in double quotes.
func splitPath(path string) ([]string, error) {
	if path == "" {
		return nil, fmt.Errorf("settings: an empty path names nothing")
	}
	if !strings.Contains(path, `"`) {
		segments := strings.Split(path, ".")
		for _, s := range segments {
			if s == "" {
				return nil, fmt.Errorf("settings: the path %q has an empty name: put it in double quotes if it is one", path)
			}
		}
		return segments, nil
	}
	var out []string
	for rest := path; ; {
		if strings.HasPrefix(rest, `"`) {
			end := strings.Index(rest[1:], `"`)
			if end < 0 {
				return nil, fmt.Errorf("settings: the path %q has a quote that is never closed", path)
			}
			out = append(out, rest[1:1+end])
			rest = rest[end+2:]
		} else {
			end := strings.IndexByte(rest, '.')
			if end < 0 {
				end = len(rest)
			}
			out = append(out, rest[:end])
			rest = rest[end:]
		}
		if rest == "" {
			return out, nil
		}
		if rest[0] != '.' {
			return nil, fmt.Errorf("settings: the path %q goes on after a closing quote: expected a dot", path)
		}
		rest = rest[1:]
	}
}
