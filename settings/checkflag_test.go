package settings

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// absent is a store that must not be read.
type absent struct{ t *testing.T }

func (absent) Schemes() []string { return []string{"vault"} }

func (a absent) Read(context.Context, []string) []Found {
	a.t.Error("the store was read")
	return nil
}

func (absent) Watch(context.Context, func(error)) {}

// A build checks the files of production without the rights of production.
func TestCheckDoesNotReadStores(t *testing.T) {
	type layout struct {
		Token   Secret[string] `rule:"required"`
		Workers int            `rule:"min=1"`
		Section struct{ A int }
	}
	check := func(text string) (int, string) {
		file := filepath.Join(t.TempDir(), "prod.yaml")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		var out strings.Builder
		code := checkByFlag(&out, []string{file}, "P", func(sources ...Option) error {
			_, err := Load(layout{Workers: 1}, sources...)
			return err
		}, []Option{File("none.yaml"), From(absent{t}, "vault:all/")})
		return code, out.String()
	}
	if code, out := check("token: vault:t\nworkers: vault:w\nsection: vault:s\n"); code != 0 || out != "ok\n" {
		t.Errorf("%d %s", code, out)
	}
	if code, out := check("token: vault:t\nworkres: vault:w\n"); code != 3 || !strings.Contains(out, "prod.yaml:2:1: workres: unknown key; did you mean workers?") {
		t.Errorf("%d %s", code, out)
	}
	t.Setenv("P_TOKN", "vault:t") // a variable has a name, and its reference too
	if code, out := check("token: t\n"); code != 3 || !strings.Contains(out, "P_TOKN") {
		t.Errorf("%d %s", code, out)
	}
	t.Setenv("P_TOKN", "")
	if code, out := check("workers: vault:w\n"); code != 3 || !strings.Contains(out, "token: is required") {
		t.Errorf("%d %s", code, out)
	}
}
