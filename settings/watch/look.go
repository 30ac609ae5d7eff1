package watch

import (
	"maps"
	"os"
	"path/filepath"
	"strings"

	"github.com/fsnotify/fsnotify"
)

// look is what is watched: for each file its directory, and the directory that links lead to.
type look struct {
	fs    *fsnotify.Watcher
	dirs  map[string]bool
	files map[string]fingerprint // by absolute path, the ends of links included
}

// fingerprint identifies a file's content without reading it.
type fingerprint struct {
	target string      // where links lead
	mode   os.FileMode // for what could not be read may be readable now
	size   int64
	at     int64 // UnixNano
	cut    bool  // its last line has no end
}

func newLook(fs *fsnotify.Watcher) *look {
	return &look{fs: fs, dirs: map[string]bool{}, files: map[string]fingerprint{}}
}

// at takes the files as they are now for seen, and watches them and no others.
func (l *look) at(files []string) {
	l.files = fingerprints(files)
	l.watch()
}

// watch watches the directories of the files that were seen. One that cannot be watched, for it does not exist
// yet, is tried again the next time.
func (l *look) watch() {
	dirs := map[string]bool{}
	for name, p := range l.files {
		dirs[filepath.Dir(name)] = true
		if p.target != "" {
			dirs[filepath.Dir(p.target)] = true
		}
	}
	for d := range dirs {
		// Adding again is free, and is needed where a directory was made again.
		_ = l.fs.Add(d) // one that does not exist yet is looked for by its files
	}
	for d := range l.dirs {
		if !dirs[d] {
			_ = l.fs.Remove(d) // it may be gone, which is as good
		}
	}
	l.dirs = dirs
}

// concerns reports whether an event may have changed what a file says.
func (l *look) concerns(e fsnotify.Event) bool {
	if e.Op == fsnotify.Chmod {
		return false
	}
	if strings.HasPrefix(filepath.Base(e.Name), "..data") {
		return true
	}
	for name, p := range l.files {
		if e.Name == name || e.Name == p.target || l.dirs[e.Name] {
			return true
		}
	}
	return false
}

// changed reports whether some file looks different from when it was read.
func (l *look) changed(files []string) bool {
	return !maps.Equal(fingerprints(files), l.files)
}

func fingerprints(files []string) map[string]fingerprint {
	out := make(map[string]fingerprint, len(files))
	for _, f := range files {
		abs := absolute(f)
		var p fingerprint
		if target, err := filepath.EvalSymlinks(abs); err == nil {
			p.target = target
			if info, err := os.Stat(target); err == nil {
				p.mode, p.size, p.at = info.Mode(), info.Size(), info.ModTime().UnixNano()
				p.cut = info.Mode().IsRegular() && info.Size() > 0 && !endsLine(target, info.Size())
			}
		}
		out[abs] = p
	}
	return out
}

// absolute is a file's path whatever the working directory becomes.
func absolute(file string) string {
	if abs, err := filepath.Abs(file); err == nil {
		return abs
	}
	return file
}

// endsLine reports whether the last byte of a file is a line break. It is true of a file that cannot be read:
// loading it is an error.
func endsLine(path string, size int64) bool {
	f, err := os.Open(path)
	if err != nil {
		return true
	}
	defer func() { _ = f.Close() }() // it was only read
	var last [1]byte
	if _, err := f.ReadAt(last[:], size-1); err != nil {
		return true
	}
	return last[0] == '\n'
}
