package store

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

// TestAQueueFileIsItsOwnersAlone: the messages in it hold people's data.
func TestAQueueFileIsItsOwnersAlone(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("permissions are other ones there")
	}
	dir := filepath.Join(t.TempDir(), "data")
	path := filepath.Join(dir, "queue.db")
	check := func(when string) {
		t.Helper()
		f, err := Open(path, Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		for _, name := range []string{dir, path} {
			if info, err := os.Stat(name); err != nil || info.Mode().Perm()&0o077 != 0 {
				t.Errorf("%s: %s is %v (%v)", when, name, info.Mode(), err)
			}
		}
	}
	check("made")
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	check("copied with the rights of all")
}
