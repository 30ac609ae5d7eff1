package main

import (
	"os"
	"path/filepath"
	"testing"
)

// TestAPlantedLinkIsNotFollowed: another user of the machine has prepared the
// folder, or what is in it.
func TestAPlantedLinkIsNotFollowed(t *testing.T) {
	mine := filepath.Join(t.TempDir(), "precious")
	if err := os.WriteFile(mine, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, plant := range map[string]func(dir string) error{
		"a link in place of the folder": func(dir string) error { return os.Symlink(t.TempDir(), dir) },
		"a link in place of a file": func(dir string) error {
			return os.Symlink(mine, filepath.Join(dir, "mailer.log"))
		},
		"a link to nothing yet": func(dir string) error { return os.Symlink(mine+".new", filepath.Join(dir, "queue.db")) },
		"a folder for all":      func(dir string) error { return os.Chmod(dir, 0o777) },
	} {
		dir := filepath.Join(t.TempDir(), "data")
		if name != "a link in place of the folder" {
			if err := ownFolder(dir); err != nil {
				t.Fatal(err)
			}
		}
		if err := plant(dir); err != nil {
			t.Fatal(err)
		}
		if err := ownFolder(dir); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	dir, err := folder("")
	if err != nil || filepath.Dir(dir) == filepath.Clean(os.TempDir()) && filepath.Base(dir) == "chassis-quickstart" {
		t.Errorf("the folder is %s, which anybody can prepare: %v", dir, err)
	}
}
