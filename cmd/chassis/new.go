package main

import (
	"bytes"
	"cmp"
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"
	"text/template"

	"github.com/spf13/cobra"
)

//go:embed service/*.tmpl
var service embed.FS

// newService is what the templates are filled with.
type newService struct {
	Name    string
	Module  string
	Version string // of the chassis; empty: the newest
	Replace string // a checkout of it

	dir  string
	tidy bool
}

func (a *app) newCommand() *cobra.Command {
	n := newService{}
	c := &cobra.Command{
		Use:   "new NAME",
		Short: "Begin a service: it builds, passes its tests and has a Dockerfile",
		Long: `Begin a service in a new folder NAME: a task behind a breaker, its settings,
its tests in simulated time, a Dockerfile. Then "go mod tidy" is run in it,
unless --tidy=false.`,
		Args: cobra.ExactArgs(1),
		RunE: runs(func(ctx context.Context, args []string) error {
			n.Name = args[0]
			return a.begin(ctx, &n)
		}),
	}
	f := c.Flags()
	f.StringVar(&n.Module, "module", "", "path of its module (default NAME)")
	f.StringVar(&n.dir, "dir", "", "folder to make (default NAME)")
	f.StringVar(&n.Replace, "replace", "", "use this checkout of the chassis, by a replace directive")
	f.BoolVar(&n.tidy, "tidy", true, "run go mod tidy in it")
	return c
}

var (
	serviceName = regexp.MustCompile(`^[a-z][a-z0-9-]{0,39}$`)
	modulePath  = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._~/-]*$`)
)

func (a *app) begin(ctx context.Context, n *newService) error {
	if !serviceName.MatchString(n.Name) {
		return usage("%q is no name for a service: want up to 40 lower-case letters, digits and hyphens, a letter "+
			"first, for its queue is named by it", n.Name)
	}
	n.Module = cmp.Or(n.Module, n.Name)
	if !modulePath.MatchString(n.Module) || path.Clean(n.Module) != n.Module {
		return usage("--module is %q: want a path like example.org/%s", n.Module, n.Name)
	}
	n.dir = cmp.Or(n.dir, n.Name)
	if err := n.source(); err != nil {
		return err
	}
	if err := os.Mkdir(n.dir, 0o755); errors.Is(err, fs.ErrExist) {
		return usage("%s is there already: nothing was written", n.dir)
	} else if err != nil {
		return err
	}
	files, err := n.write()
	if err != nil {
		return err
	}
	if n.tidy {
		tidy := exec.CommandContext(ctx, "go", "mod", "tidy")
		tidy.Dir = n.dir
		if out, err := tidy.CombinedOutput(); err != nil {
			return fmt.Errorf("%s is written, but go mod tidy failed in it: %w\n%s", n.dir, err, bytes.TrimSpace(out))
		}
	}
	if a.json {
		return a.printJSON(map[string]any{"name": n.Name, "module": n.Module, "dir": n.dir, "files": files})
	}
	fmt.Fprintf(a.out, "%s: %s\n\n  cd %s && go test ./... && go run .\n", n.dir, strings.Join(files, ", "), n.dir)
	return nil
}

// source says where the chassis is to come from: a checkout, the version of
// this very command, or the newest.
func (n *newService) source() error {
	if n.Replace == "" {
		if info, ok := debug.ReadBuildInfo(); ok &&
			regexp.MustCompile(`^v\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?$`).MatchString(info.Main.Version) {
			n.Version = info.Main.Version
		}
		return nil
	}
	abs, err := filepath.Abs(n.Replace)
	if err != nil {
		return err
	}
	text, err := os.ReadFile(filepath.Join(abs, "go.mod"))
	if err != nil || !bytes.HasPrefix(text, []byte("module github.com/sambatech/chassis\n")) {
		return usage("--replace is %q: want a checkout of the chassis", n.Replace)
	}
	n.Replace, n.Version = abs, "v0.0.0"
	if strings.ContainsAny(abs, " \t\"'`") {
		n.Replace = fmt.Sprintf("%q", abs)
	}
	return nil
}

// write fills in the templates. A dot comes before the names of those that the
// embedding would leave out.
func (n *newService) write() (files []string, err error) {
	all, err := template.ParseFS(service, "service/*.tmpl")
	if err != nil {
		return nil, err
	}
	for _, t := range all.Templates() {
		name := strings.TrimSuffix(path.Base(t.Name()), ".tmpl")
		if name == "gitignore" || name == "dockerignore" {
			name = "." + name
		}
		var text bytes.Buffer
		if err := t.Execute(&text, n); err != nil {
			return nil, err
		}
		if err := os.WriteFile(filepath.Join(n.dir, name), text.Bytes(), 0o644); err != nil {
			return nil, err
		}
		files = append(files, name)
	}
	slices.Sort(files)
	return files, nil
}
