package house

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// top is the folder of the checkout, seen from this package.
const top = "../.."

// skipped are folders that hold nothing of ours to read: downloads, results of
// builds, inputs of tests.
var skipped = []string{".git", ".cache", "dist", "node_modules", "testdata", "faults", "images"}

// rooms returns the files of the checkout by room, as slash-separated paths.
func rooms(t *testing.T) map[string][]string {
	t.Helper()
	var files []string
	packages := map[string]bool{}
	err := filepath.WalkDir(top, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if slices.Contains(skipped, d.Name()) {
				return fs.SkipDir
			}
			return nil
		}
		rel, err := filepath.Rel(top, name)
		if err != nil {
			return err
		}
		files = append(files, filepath.ToSlash(rel))
		packages[path.Dir(filepath.ToSlash(rel))] = true
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	byRoom := map[string][]string{}
	for _, file := range files {
		room := roomOf(file, packages)
		byRoom[room] = append(byRoom[room], file)
	}
	return byRoom
}

// roomOf returns the room of a file. No room's name begins with another's and a
// slash, so that -run can name one room alone.
func roomOf(file string, packages map[string]bool) string {
	dir := path.Dir(file)
	switch {
	case dir == ".":
		return "root"
	case path.Ext(file) == ".md" && dir == "docs":
		return file
	}
	for other := range packages {
		if strings.HasPrefix(other, dir+"/") {
			return dir + "/package"
		}
	}
	return dir
}

// roomFile names the file in testdata that belongs to a room.
func roomFile(folder, room, end string) string {
	return filepath.Join("testdata", folder, strings.ReplaceAll(room, "/", ",")+end)
}

// exception is a line that may stand as it is.
type exception struct {
	file, part, reason string
	used               bool
}

// exceptions reads the exceptions of a room.
func exceptions(t *testing.T, room string) []*exception {
	t.Helper()
	name := roomFile("exceptions", room, ".txt")
	text, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	var all []*exception
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		fields := strings.Split(line, " | ")
		if len(fields) != 3 {
			t.Fatalf("%s: %q is not: file | a part of the line | the reason", name, line)
		}
		all = append(all, &exception{file: fields[0], part: fields[1], reason: fields[2]})
	}
	return all
}

// excepted reports whether a line of a file is an exception, and marks it used.
func excepted(all []*exception, file, line string) bool {
	found := false
	for _, e := range all {
		if e.file == path.Base(file) && strings.Contains(line, e.part) {
			e.used, found = true, true
		}
	}
	return found
}

// read returns the text of a file of the checkout.
func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(top, filepath.FromSlash(file)))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
