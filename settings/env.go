package settings

import (
	"os"
	"regexp"
	"slices"
	"strings"
)

// Env reads the variables of the process' environment that begin with prefix
// and "_"; see [EnvName] for the rest of the name. PREFIX_NAME_FILE, where the
// layout knows NAME and not NAME_FILE, names a file. Its content, less a byte
// order mark and the line breaks at its end, is the value: so secrets are
// mounted.
//
// A list is written a,b,c or as JSON, or element by element (PREFIX_LIST__0);
// a map is written k=v,k2=v2 or as JSON, or entry by entry (PREFIX_MAP__KEY).
// Written whole, it replaces what weaker sources gave. A variable that is
// set but empty is an empty value, not an absent one.
//
// Env leaves alone what Kubernetes makes up for a service with a name that
// begins with the prefix (PREFIX_SERVICE_HOST=10.0.0.1, PREFIX_PORT=tcp://10.0.0.1:80,
// ...). A value that Kubernetes does not make, like PREFIX_PORT=2525, is a
// setting. So is a variable of that form without the service's other ones.
//
// Names of variables are in upper case, so an entry of a map is named without
// its case: PREFIX_LIMITS__EU is the entry EU of a file or a default, if it has
// one, else eu. [EnvName] of EU, PREFIX_LIMITS__x45x55, is always EU.
func Env(prefix string) Source { return Environ(prefix, nil) }

// Environ is Env over a given environment of "NAME=value" strings, the process'
// own if nil. Of a name that stands there twice the last counts.
// [ProfilesFromEnv] reads it too.
func Environ(prefix string, environ []string) Source {
	s := Source{rank: rankEnv, reserve: nil, read: func(o *opening) []*node {
		env := environ
		if env == nil {
			env = os.Environ()
		}
		return one(readEnv(o, prefix, env))
	}}
	s.environ, s.prefix = environ, prefix
	return s
}

func readEnv(o *opening, prefix string, environ []string) *node {
	from := &origin{rank: rankEnv, open: prefix == ""}
	links := serviceLinks(prefix, environ)
	var vars []variable
	for _, entry := range environ {
		name, value, ok := strings.Cut(entry, "=")
		if !ok || !strings.HasPrefix(name, prefix) || !prefixed(name, prefix) || slices.Contains(o.config.reserved, name) || links.has(name, value) {
			continue
		}
		vars = append(vars, variable{name: name, value: value})
	}
	if len(vars) == 0 {
		return nil
	}
	slices.SortStableFunc(vars, func(a, b variable) int { return strings.Compare(a.name, b.name) })
	// Of a name given twice the last counts, as for a process that is started so.
	kept := vars[:0]
	for i, v := range vars {
		if i+1 < len(vars) && vars[i+1].name == v.name {
			continue
		}
		kept = append(kept, v)
	}
	return variables(o, from, prefix, kept)
}

func prefixed(name, prefix string) bool {
	return prefix == "" || len(name) > len(prefix) && name[len(prefix)] == '_'
}

type variable struct {
	name, value string
	line, col   int
	valueLine   int
	valueCol    int
}

// variables makes the tree of a set of variables. What cannot be a variable of
// any setting is kept under its own name, to be told as unknown by the layout,
// which can say what is near.
func variables(o *opening, from *origin, prefix string, vars []variable) *node {
	slab := slab{from: from, free: make([]node, len(vars)+8)}
	root := slab.new()
	root.kind = mapNode
	names := make([]rare, len(vars))
	var find finder
	for i, v := range vars {
		leaf := slab.new()
		leaf.kind, leaf.text, leaf.rare = textNode, v.value, &names[i]
		names[i].name = v.name
		leaf.line, leaf.col = int32(v.valueLine), int32(v.valueCol)
		if strings.HasPrefix(v.value, ".") {
			o.dotted = true
		}
		path, ok := EnvPath(prefix, v.name)
		if !ok {
			root.kids = append(root.kids, kid{key: strayKey + v.name, line: int32(v.line), col: int32(v.col), node: leaf})
			continue
		}
		n := root
		for i, name := range path {
			if i == len(path)-1 {
				if old := find.get(n, name); old != nil {
					o.failBothWays(old, leaf, v)
					break
				}
				n.kids = append(n.kids, kid{key: name, line: int32(v.line), col: int32(v.col), node: leaf})
				break
			}
			next := find.get(n, name)
			if next == nil {
				next = slab.new()
				next.kind, next.rare, next.line, next.col = mapNode, &rare{name: v.name}, int32(v.line), int32(v.col)
				n.kids = append(n.kids, kid{key: name, line: int32(v.line), col: int32(v.col), node: next})
			} else if next.kind != mapNode {
				o.failBothWays(next, leaf, v)
				break
			}
			n = next
		}
	}
	return root
}

// strayKey marks a variable that has the prefix and is the variable of no
// path. No file's key can begin so.
const strayKey = "\x00"

// failBothWays is told when a section is given whole by one variable and in
// part by another: which would win, nobody can tell by looking.
func (o *opening) failBothWays(old, leaf *node, v variable) {
	pos := leaf.pos()
	if v.line > 0 {
		pos.Line, pos.Column = v.line, v.col
	}
	o.fail(&Error{Kind: KindDuplicate, Pos: pos, Problem: "a part of what " + old.more().name + " gives whole: set the one or the other"})
}

// links are the services that Kubernetes makes variables for.
type links []string

// linkValues are the variables of a link, less the service's name, and what
// Kubernetes gives each as its value (kubernetes/kubernetes pkg/kubelet/envvars).
var linkValues = []struct{ name, value *regexp.Regexp }{
	{regexp.MustCompile(`^_SERVICE_HOST$`), linkAddress},
	{regexp.MustCompile(`^_SERVICE_PORT(_[A-Z0-9_]+)?$`), linkPort},
	{regexp.MustCompile(`^_PORT$`), linkURL},
	{regexp.MustCompile(`^_PORT_[0-9]+_(TCP|UDP|SCTP)$`), linkURL},
	{regexp.MustCompile(`^_PORT_[0-9]+_(TCP|UDP|SCTP)_PROTO$`), regexp.MustCompile(`^(tcp|udp|sctp)$`)},
	{regexp.MustCompile(`^_PORT_[0-9]+_(TCP|UDP|SCTP)_PORT$`), linkPort},
	{regexp.MustCompile(`^_PORT_[0-9]+_(TCP|UDP|SCTP)_ADDR$`), linkAddress},
}

var (
	linkAddress = regexp.MustCompile(`^([0-9]{1,3}(\.[0-9]{1,3}){3}|[0-9a-fA-F:]*:[0-9a-fA-F:.]*)$`)
	linkPort    = regexp.MustCompile(`^[0-9]{1,5}$`)
	linkURL     = regexp.MustCompile(`^(tcp|udp|sctp)://.+:[0-9]{1,5}$`)
)

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
	for _, service := range l {
		rest, ok := strings.CutPrefix(name, service)
		for i := range linkValues {
			if ok && linkValues[i].name.MatchString(rest) && linkValues[i].value.MatchString(value) {
				return true
			}
		}
	}
	return false
}
