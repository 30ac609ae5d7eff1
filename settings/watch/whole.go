package watch

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/sambatech/chassis/settings"
)

// contents is what the files hold at one time.
type contents struct {
	stored map[string]string          // versions by address in a store
	files  map[string]fingerprint     // by absolute path
	keys   map[string]map[string]bool // by absolute path, or by address in a store: what it gives
}

// newContents takes the keys from tree and the rest from the files' fingerprints.
func newContents(files map[string]fingerprint, tree *settings.Tree) contents {
	c := contents{files: files, keys: map[string]map[string]bool{}, stored: tree.Stored()}
	for name, keys := range tree.Given() {
		set := make(map[string]bool, len(keys))
		for _, k := range keys {
			set[k] = true
		}
		if _, stored := c.stored[name]; !stored {
			name = absolute(name)
		}
		c.keys[name] = set
	}
	return c
}

// wholeness is how sure it is that files are written to their end.
type wholeness uint8

const (
	whole    wholeness = iota // nothing speaks against it
	doubtful                  // shorter than before, or cut within a line: to be seen at rest
	shrunk                    // it no longer gives what it gave: to be seen at rest
	gone                      // it gives nothing any more: never in force
)

// judge compares what the files hold with what they held when the values in force were read. The second result
// says what is lost, if anything is.
func judge(held, seen contents) (wholeness, *Lost) {
	for _, file := range slices.Sorted(maps.Keys(held.keys)) {
		if len(held.keys[file]) > 0 && len(seen.keys[file]) == 0 {
			_, stored := held.stored[file]
			return gone, &Lost{File: file, Missing: !stored && seen.files[file].target == "",
				Keys: slices.Sorted(maps.Keys(held.keys[file])), forGood: true, stored: stored}
		}
	}
	for _, file := range slices.Sorted(maps.Keys(held.files)) {
		// A mounted secret: what it gives is its content.
		if len(held.keys[file]) == 0 && held.files[file].size > 0 && seen.files[file].size == 0 {
			return gone, &Lost{File: file, Missing: seen.files[file].target == "", forGood: true}
		}
	}
	// A file that a link puts in another's place, as Kubernetes does, is whole. So is a version in a store.
	swapped := func(file string) bool {
		if _, stored := seen.stored[file]; stored {
			return true
		}
		was, known := held.files[file]
		return known && was.target != "" && was.target != seen.files[file].target
	}
	for _, file := range slices.Sorted(maps.Keys(held.keys)) {
		if swapped(file) {
			continue
		}
		lost := maps.Clone(held.keys[file])
		maps.DeleteFunc(lost, func(k string, _ bool) bool { return seen.keys[file][k] })
		if len(lost) > 0 {
			return shrunk, &Lost{File: file, Keys: slices.Sorted(maps.Keys(lost))}
		}
	}
	for file, now := range seen.files {
		was := held.files[file]
		if now.size == 0 || now == was || swapped(file) {
			continue
		}
		if now.size < was.size || now.cut && !strings.HasSuffix(file, ".json") {
			return doubtful, nil
		}
	}
	return whole, nil
}

// Lost is the error of an update that leaves the values as they were, for a file no longer gives what it gave
// when they were read: it is missing or empty, or is being written.
type Lost struct {
	File    string        // absolute path, or address in a store
	Missing bool          // it is not there
	Keys    []string      // dotted paths of what it no longer gives; none of a mounted secret
	Rest    time.Duration // what it gives now follows once it has not changed for so long; 0: never

	forGood bool
	stored  bool
}

// Error says what is lost, and what puts the file's values in force.
func (l *Lost) Error() string {
	switch {
	case l.stored:
		return l.File + " gives nothing any more: the settings in force stay until it does, or until a restart"
	case l.Missing:
		return l.File + " is not there any more: the settings in force stay until it is, or until a restart"
	case l.forGood:
		return l.File + " is empty: the settings in force stay until it gives some, or until a restart"
	}
	text := l.Keys[0]
	if more := len(l.Keys) - 1; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return fmt.Sprintf("%s no longer gives %s: the settings in force stay; "+
		"if that is meant, they follow once the file has not changed for %v", l.File, text, l.Rest)
}

// situation is what notify is called for once: the same file in the same state.
func situation(err error) string {
	var lost *Lost
	switch {
	case err == nil:
		return ""
	case errors.As(err, &lost):
		return fmt.Sprint(lost.File, lost.forGood)
	}
	return err.Error()
}
