package settings_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/sambatech/chassis/settings"
)

func TestGivenListsTheKeysOfEachFile(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	a := write("a.yaml", "pool: p\ntasks: {task_pool: .pool, workers: 1}\nlist: [x, {y: 1}]\nnone: null\nempty: {}\n")
	b := write("a.toml", "[tasks]\nworkers = 2\n")
	c, d := write("a.json", "{}"), write("b.yaml", "")
	e := write(".env", "APP_TASKS__WORKERS=3\n")
	tree, err := settings.Open(settings.File(a), settings.File(b), settings.File(c), settings.File(d), settings.DotEnv("APP", e), settings.Environ("APP", []string{"APP_X=1"}))
	if err != nil {
		t.Fatal(err)
	}
	got := tree.Given()
	if len(got) != 3 || fmt.Sprint(got[b]) != "[tasks.workers]" || fmt.Sprint(got[e]) != "[tasks.workers]" ||
		fmt.Sprint(got[a]) != "[pool tasks.task_pool tasks.workers list.0 list.1.y none]" {
		t.Errorf("got %v", got)
	}
}
