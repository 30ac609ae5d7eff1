package settings

import (
	"errors"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/sambatech/chassis/settings/internal/source"
)

// Env reads the variables of the process' environment that begin with prefix and "_"; see [EnvName] for the rest
// of the name. PREFIX_NAME_FILE, where the layout knows NAME and not NAME_FILE, names a file. Its content, less a
// byte order mark and the line breaks at its end, is the value: so secrets are mounted.
//
// A list is written a,b,c or as JSON, or element by element (PREFIX_LIST__0); a map is written k=v,k2=v2 or as
// JSON, or entry by entry (PREFIX_MAP__KEY). Written whole, it replaces what weaker sources gave. A variable that
// is set but empty is an empty value, not an absent one.
//
// Env leaves alone what Kubernetes makes up for a service with a name that begins with the prefix
// (PREFIX_SERVICE_HOST=10.0.0.1, PREFIX_PORT=tcp://10.0.0.1:80, ...). A value that Kubernetes does not make, like
// PREFIX_PORT=2525, is a setting. So is a variable of that form without the service's other ones.
//
// Names of variables are in upper case, so an entry of a map is named without its case: PREFIX_LIMITS__EU is the
// entry EU of a file or a default, if it has one, else eu. [EnvName] of EU, PREFIX_LIMITS__x45x55, is always EU.
func Env(prefix string) Source { return Environ(prefix, nil) }

// Environ is Env over a given environment of "NAME=value" strings, the process' own if nil. Of a name that stands
// there twice the last counts. [ProfilesFromEnv] reads it too.
func Environ(prefix string, environ []string) Source {
	s := Source{rank: source.Env, reserve: nil, read: func(o *opening) []*source.Node {
		env := environ
		if env == nil {
			env = os.Environ()
		}
		return one(readEnv(o, prefix, env))
	}}
	s.environ, s.prefix = environ, prefix
	return s
}

func readEnv(o *opening, prefix string, environ []string) *source.Node {
	from := &source.Origin{Rank: source.Env, Open: prefix == ""}
	links := serviceLinks(prefix, environ)
	var vars []source.Variable
	for _, entry := range environ {
		name, value, ok := strings.Cut(entry, "=")
		if !ok || !prefixed(name, prefix) || slices.Contains(o.config.reserved, name) || links.has(name, value) {
			continue
		}
		vars = append(vars, source.Variable{Name: name, Value: value})
	}
	if len(vars) == 0 {
		return nil
	}
	// Of a name given twice the last counts, as for a process that is started so.
	slices.Reverse(vars)
	slices.SortStableFunc(vars, func(a, b source.Variable) int { return strings.Compare(a.Name, b.Name) })
	vars = slices.CompactFunc(vars, func(a, b source.Variable) bool { return a.Name == b.Name })
	return variables(o, from, prefix, vars)
}

func prefixed(name, prefix string) bool {
	return prefix == "" || strings.HasPrefix(name, prefix) && len(name) > len(prefix) && name[len(prefix)] == '_'
}

// variables makes the tree of a set of variables. What cannot be a variable of any setting is kept under its own
// name: the layout reports it as unknown, for it knows the near ones.
func variables(o *opening, from *source.Origin, prefix string, vars []source.Variable) *source.Node {
	slab := source.NewSlab(from, len(vars)+8)
	root := slab.New()
	root.Kind = source.Map
	names := make([]source.Rare, len(vars))
	var find source.Finder
	for i, v := range vars {
		add := func(n *source.Node, key string, value *source.Node) {
			n.Kids = append(n.Kids, source.Kid{Key: key, Line: int32(v.Line), Col: int32(v.Col), Node: value})
		}
		leaf := slab.New()
		leaf.Kind, leaf.Text, leaf.Rare = source.Text, v.Value, &names[i]
		names[i].Name = v.Name
		leaf.Line, leaf.Col = int32(v.ValueLine), int32(v.ValueCol)
		o.dotted = o.dotted || strings.HasPrefix(v.Value, ".")
		path, ok := EnvPath(prefix, v.Name)
		if !ok {
			add(root, strayKey+v.Name, leaf)
			continue
		}
		n := root
		for i, name := range path {
			if i == len(path)-1 {
				if old := find.Get(n, name); old != nil {
					o.failBothWays(old, leaf, v)
					break
				}
				add(n, name, leaf)
				break
			}
			next := find.Get(n, name)
			if next == nil {
				next = slab.New()
				next.Kind, next.Rare, next.Line, next.Col = source.Map, &source.Rare{Name: v.Name}, int32(v.Line),
					int32(v.Col)
				add(n, name, next)
			} else if next.Kind != source.Map {
				o.failBothWays(next, leaf, v)
				break
			}
			n = next
		}
	}
	return root
}

// strayKey marks a variable that has the prefix and is the variable of no path. No file's key can begin so.
const strayKey = "\x00"

// failBothWays reports a section that one variable gives whole and another in part: a reader could not see which
// one wins.
func (o *opening) failBothWays(old, leaf *source.Node, v source.Variable) {
	pos := positionOf(leaf)
	if v.Line > 0 {
		pos.Line, pos.Column = v.Line, v.Col
	}
	o.fail(&Error{Kind: KindDuplicate, Pos: pos,
		Problem: "a part of what " + old.More().Name + " gives whole: set the one or the other"})
}

// DotEnv reads the variables of a .env file that begin with prefix and "_", as [Env] reads the environment's, and
// below them. A missing file is no error.
//
// A line is NAME=value, with "export " before it or not. In single quotes a value is taken as it is; in double
// quotes \n \r \t \" \\ and \$ are escapes; both may hold line breaks. An unquoted value ends at " #" or the
// line's end. Nothing is substituted: a $ is a $.
func DotEnv(prefix, path string) Source {
	return Source{rank: source.DotEnv, prefix: prefix, path: path, read: func(o *opening) []*source.Node {
		data, err := source.ReadFile(nil, path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			o.fail(unreadable(path, err))
			return nil
		}
		return one(readDotEnv(o, prefix, path, data))
	}}
}

func readDotEnv(o *opening, prefix, path string, data []byte) *source.Node {
	r := &source.Reading{From: &source.Origin{File: path, Rank: source.DotEnv}}
	vars := slices.DeleteFunc(r.Variables(data), func(v source.Variable) bool {
		if slices.Contains(o.config.reserved, v.Name) {
			if v.Value != "" && o.config.lookupEnv(v.Name) == "" {
				o.fail(&Error{Kind: KindSource, Pos: Position{File: path, Name: v.Name, Line: v.Line, Column: v.Col},
					Problem: "says which files are read, and is looked for in the environment only: set it there"})
			}
			return true
		}
		return !prefixed(v.Name, prefix)
	})
	o.take(r)
	if len(vars) == 0 {
		return nil
	}
	return variables(o, r.From, prefix, vars)
}

// links are the services that Kubernetes makes variables for.
type links []string

const linkAddress = `([0-9]{1,3}(\.[0-9]{1,3}){3}|[0-9a-fA-F:]*:[0-9a-fA-F:.]*)`

// linkVariable matches NAME=value of a link, less the service's name, where the value is one that Kubernetes
// makes (kubernetes/kubernetes pkg/kubelet/envvars).
var linkVariable = regexp.MustCompile(`^(_SERVICE_HOST=` + linkAddress + `|_SERVICE_PORT(_[A-Z0-9_]+)?=[0-9]{1,5}` +
	`|_PORT(_[0-9]+_(TCP|UDP|SCTP))?=(tcp|udp|sctp)://.+:[0-9]{1,5}` +
	`|_PORT_[0-9]+_(TCP|UDP|SCTP)(_PROTO=(tcp|udp|sctp)|_PORT=[0-9]{1,5}|_ADDR=` + linkAddress + `))$`)

func serviceLinks(prefix string, environ []string) links {
	var out links
	for _, entry := range environ {
		name, _, _ := strings.Cut(entry, "=")
		service, ok := strings.CutSuffix(name, "_SERVICE_HOST")
		if !ok || service != prefix && !strings.HasPrefix(service, prefix+"_") {
			continue
		}
		port := service + "_SERVICE_PORT="
		if slices.ContainsFunc(environ, func(e string) bool { return strings.HasPrefix(e, port) }) {
			out = append(out, service)
		}
	}
	return out
}

// has reports whether Kubernetes has made the variable and its value.
func (l links) has(name, value string) bool {
	return slices.ContainsFunc(l, func(service string) bool {
		rest, ok := strings.CutPrefix(name, service)
		return ok && linkVariable.MatchString(rest+"="+value)
	})
}
