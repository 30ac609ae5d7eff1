package settings_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sambatech/chassis/settings"
)

// chassis.yml was not read; the Python chassis reads both names.
func TestAFileThatEndsInYmlIsNotRead(t *testing.T) {
	type config struct{ A, B int }
	for name, c := range map[string]struct {
		files map[string]string
		want  string
	}{
		"none":          {nil, "{0 0}"},
		"yaml":          {map[string]string{"chassis.yaml": "a: 1"}, "{1 0}"},
		"yml":           {map[string]string{"chassis.yml": "a: 1"}, "{1 0}"},
		"both":          {map[string]string{"chassis.yaml": "a: 1", "chassis.yml": "a: 1"}, "both DIR/chassis.yaml and DIR/chassis.yml are there"},
		"a profile":     {map[string]string{"chassis.yml": "a: 1", "chassis.prod.yml": "b: 2"}, "{1 2}"},
		"mixed":         {map[string]string{"chassis.yml": "a: 1", "chassis.prod.yaml": "b: 2"}, "{1 2}"},
		"both profiles": {map[string]string{"chassis.yml": "a: 1", "chassis.prod.yaml": "b: 2", "chassis.prod.yml": "b: 2"}, "both DIR/chassis.prod.yaml and DIR/chassis.prod.yml are there"},
	} {
		dir := t.TempDir()
		profile := settings.Profiles()
		for file, text := range c.files {
			if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			if strings.Contains(file, "prod") {
				profile = settings.Profiles("prod")
			}
		}
		options := []settings.Option{settings.OptionalYAML(filepath.Join(dir, "chassis")), profile}
		got, err := settings.Load(config{}, options...)
		text := fmt.Sprint(got)
		if err != nil {
			text = err.Error()
		}
		if !strings.Contains(text, strings.ReplaceAll(c.want, "DIR", dir)) {
			t.Errorf("%s: %s, want %s", name, text, c.want)
		}
		files := settings.Files(options...)
		for file := range c.files {
			if !slices.Contains(files, filepath.Join(dir, file)) {
				t.Errorf("%s: %s is not watched: %q", name, file, files)
			}
		}
	}
}
