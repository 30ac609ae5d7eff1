package watch

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/fsnotify/fsnotify"
)

// What events miss is seen by looking again.
func TestLookSeesWhatEventsMiss(t *testing.T) {
	fs, err := fsnotify.NewWatcher()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = fs.Close() }()
	dir := filepath.Join(t.TempDir(), "later")
	file, link := filepath.Join(dir, "a.yaml"), filepath.Join(dir, "b.yaml")
	files := []string{file, link}
	l := newLook(fs)
	step := func(what string, want bool, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		if got := l.changed(files); got != want {
			t.Errorf("%s: changed is %v", what, got)
		}
		l.at(files)
	}
	l.at(files)
	step("nothing there", false, nil)
	step("a directory made", false, os.Mkdir(dir, 0o700))
	step("a file made", true, os.WriteFile(file, []byte("a"), 0o600))
	step("a link made", true, os.Symlink("a.yaml", link))
	step("nothing done", false, nil)
	step("another time", true, os.Chtimes(file, time.Time{}, time.Unix(1e9, 0)))
	step("another size", true, os.WriteFile(file, []byte("ab"), 0o600))
	step("a file gone", true, os.Remove(file))
	if err := os.WriteFile(file, []byte("abc"), 0o600); err != nil {
		t.Fatal(err)
	}
	if l.watch(); !l.changed(files) {
		t.Error("watching again took a change for seen that no load has read")
	}
	step("a file there again", true, nil)
	step("made readable", true, os.Chmod(file, 0o640))
	step("a file gone again", true, os.Remove(file))
	if len(fs.WatchList()) != 1 {
		t.Errorf("watched are %q", fs.WatchList())
	}
	for event, want := range map[fsnotify.Event]bool{
		{Name: file, Op: fsnotify.Write}:                          true,
		{Name: file, Op: fsnotify.Chmod}:                          false,
		{Name: filepath.Join(dir, "..data"), Op: fsnotify.Create}: true,
		{Name: filepath.Join(dir, "other"), Op: fsnotify.Write}:   false,
	} {
		if got := l.concerns(event); got != want {
			t.Errorf("%v: concerns is %v", event, got)
		}
	}
}
