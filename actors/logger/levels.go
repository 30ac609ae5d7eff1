package logger

import (
	"log/slog"
	"maps"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"weak"
)

// levels holds the level of each logger name. A name without one takes that
// of the nearest name above it: "actors/breaker" covers "actors/breaker/tree".
// Names are divided by '/' or '.'. The empty name is above all.
//
// A level that is set stays. A name that only names a logger is known for as long
// as a logger has it: a program may name its loggers after what strangers send.
type levels struct {
	mu    sync.Mutex
	set   map[string]slog.Level
	nodes map[string]weak.Pointer[levelNode] // the loggers hold the nodes
}

// levelNode is the level of one name as handlers read it.
type levelNode struct {
	name string
	v    atomic.Int64
}

func (n *levelNode) enabled() slog.Level { return slog.Level(n.v.Load()) }

func newLevels(root slog.Level, set map[string]slog.Level) *levels {
	l := &levels{set: map[string]slog.Level{}, nodes: map[string]weak.Pointer[levelNode]{}}
	maps.Copy(l.set, set)
	if _, ok := l.set[""]; !ok {
		l.set[""] = root
	}
	return l
}

func (l *levels) node(name string) *levelNode {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n := l.nodes[name].Value(); n != nil {
		return n
	}
	n := &levelNode{name: name}
	n.v.Store(int64(l.resolve(name)))
	l.nodes[name] = weak.Make(n)
	runtime.AddCleanup(n, l.forget, name)
	return n
}

// forget drops a name that no logger has any more.
func (l *levels) forget(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.nodes[name].Value() == nil { // no later logger has it again
		delete(l.nodes, name)
	}
}

func (l *levels) resolve(name string) slog.Level {
	for {
		if v, ok := l.set[name]; ok {
			return v
		}
		name = name[:max(strings.LastIndexAny(name, "/."), 0)]
	}
}

func (l *levels) change(name string, level slog.Level) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.set[name] = level
	l.refresh()
}

// unset gives name back to what is above it. The empty name cannot be unset.
func (l *levels) unset(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if name != "" {
		delete(l.set, name)
	}
	l.refresh()
}

func (l *levels) refresh() {
	for name, w := range l.nodes {
		if n := w.Value(); n != nil {
			n.v.Store(int64(l.resolve(name)))
		}
	}
}

func (l *levels) snapshot() map[string]slog.Level {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.set)
}
