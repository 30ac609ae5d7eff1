package logger

import (
	"log/slog"
	"maps"
	"strings"
	"sync"
	"sync/atomic"
)

// levels holds the level of each logger name. A name without one takes that
// of the nearest name above it: "actors/breaker" covers "actors/breaker/tree".
// Names are divided by '/' or '.'. The empty name is above all.
type levels struct {
	mu    sync.Mutex
	set   map[string]slog.Level
	nodes map[string]*levelNode
}

// levelNode is the level of one name as handlers read it.
type levelNode struct{ v atomic.Int64 }

func (n *levelNode) enabled() slog.Level { return slog.Level(n.v.Load()) }

func newLevels(root slog.Level, set map[string]slog.Level) *levels {
	l := &levels{set: map[string]slog.Level{}, nodes: map[string]*levelNode{}}
	maps.Copy(l.set, set)
	if _, ok := l.set[""]; !ok {
		l.set[""] = root
	}
	return l
}

func (l *levels) node(name string) *levelNode {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := l.nodes[name]
	if n == nil {
		n = &levelNode{}
		n.v.Store(int64(l.resolve(name)))
		l.nodes[name] = n
	}
	return n
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
	for name, n := range l.nodes {
		n.v.Store(int64(l.resolve(name)))
	}
}

func (l *levels) snapshot() map[string]slog.Level {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.set)
}
