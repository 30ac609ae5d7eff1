package settings

import (
	"flag"
	"fmt"
	"slices"
	"strings"

	"github.com/sambatech/chassis/settings/internal/source"
)

// Set is settings given as "dotted.path=value", like the arguments of a program's --set; origin, here "--set",
// names them in messages. They go over everything else.
func Set(origin string, assignments []string) Source {
	return flagSource(func(o *opening, give func(name string, path []string, value string)) {
		for _, a := range assignments {
			path, value, ok := strings.Cut(a, "=")
			segments, err := splitPath(path)
			if !ok || err != nil {
				o.fail(&Error{Kind: KindSyntax, Pos: Position{Name: origin},
					Problem: "expected dotted.path=value, found " + source.QuoteKey(source.Clip(path))})
				continue
			}
			give(origin+" "+path, segments, value)
		}
	})
}

// Flags reads the flags that [Layout.Flags] has put into fs and that were given on the command line. Parse fs
// first. Other flags of fs are not looked at.
func Flags(fs *flag.FlagSet) Source {
	return flagSource(func(_ *opening, give func(name string, path []string, value string)) {
		fs.Visit(func(f *flag.Flag) {
			if v, ok := f.Value.(*settingFlag); ok {
				give("-"+f.Name, v.path, v.text)
			}
		})
	})
}

// flagSource is a source of single values; a later one goes over an earlier one of the same path.
func flagSource(values func(o *opening, give func(name string, path []string, value string))) Source {
	return Source{rank: source.Flag, read: func(o *opening) []*source.Node {
		slab := source.NewSlab(&source.Origin{Rank: source.Flag}, 8)
		node := func(kind source.Kind, name, text string) *source.Node {
			n := slab.New()
			n.Kind, n.Text, n.Rare = kind, text, &source.Rare{Name: name}
			return n
		}
		root := node(source.Map, "", "")
		values(o, func(name string, path []string, value string) {
			o.dotted = o.dotted || strings.HasPrefix(value, ".")
			n, last := root, len(path)-1
			for _, key := range path[:last] {
				next := n.Get(key)
				if next == nil || next.Kind != source.Map {
					next = node(source.Map, name, "")
					n.Set(key, next)
				}
				n = next
			}
			n.Set(path[last], node(source.Text, name, value))
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
		if slices.Contains(segments, "") {
			return nil, fmt.Errorf("settings: the path %q has an empty name: put it in double quotes if it is one",
				path)
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
