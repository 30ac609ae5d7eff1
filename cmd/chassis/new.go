package main

import (
	"bytes"
	"cmp"
	"context"
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

	"github.com/spf13/cobra"
)

// chassisModule is the path of the chassis' module.
const chassisModule = "github.com/sambatech/chassis"

// newService is what the templates are filled with.
type newService struct {
	Name    string
	Module  string
	Version string // of the chassis; empty: the newest
	Replace string // a checkout of it, as the go.mod in dir names it; empty: none
	HTTP    bool   // it has an HTTP endpoint
	Tasks   bool   // it has a task and a schedule

	kind, dir    string
	port         int // the first of its ports
	tidy, vendor bool
}

func (a *app) newCommand() *cobra.Command {
	n := newService{}
	c := &cobra.Command{
		Use:   "new NAME",
		Short: "Begin a service: it builds, passes its tests, and has an image, manifests and CI",
		Long: `Begin a service in a new folder NAME: an HTTP endpoint, a task behind a breaker, a
schedule, a check, its settings, its tests in simulated time, a Dockerfile,
manifests for Kubernetes and CI. --kind worker leaves out the endpoint, --kind
api the task and the schedule. Its ports are made of its name, so that two
services run side by side.

Then "go mod tidy" is run in it, unless --tidy=false, and with --replace "go mod
vendor", unless --vendor=false: its image and CI need no checkout of the chassis.`,
		Args: cobra.ExactArgs(1),
		RunE: runs(func(ctx context.Context, args []string) error {
			n.Name = args[0]
			return a.begin(ctx, &n)
		}),
	}
	f := c.Flags()
	f.StringVar(&n.kind, "kind", "both", "worker, api or both")
	f.StringVar(&n.Module, "module", "", "path of its module (default NAME)")
	f.StringVar(&n.dir, "dir", "", "folder to make (default NAME)")
	f.StringVar(&n.Replace, "replace", "", "use this checkout of the chassis, by a replace directive")
	f.BoolVar(&n.tidy, "tidy", true, "run go mod tidy in it")
	f.BoolVar(&n.vendor, "vendor", true, "with --replace: run go mod vendor in it")
	return c
}

var (
	serviceName = regexp.MustCompile(`^[a-z][a-z0-9-]{0,39}$`)
	modulePath  = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._~/-]*$`)
)

func (a *app) begin(ctx context.Context, n *newService) error {
	if err := n.check(); err != nil {
		return err
	}
	if err := n.source(); err != nil {
		return err
	}
	n.port = freePorts(n.Name)
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
		if err := n.modules(ctx); err != nil {
			return err
		}
	}
	if a.json {
		return a.printJSON(map[string]any{"name": n.Name, "module": n.Module, "dir": n.dir, "files": files})
	}
	fmt.Fprintf(a.out, "%s: %s\n\n  cd %s && go test ./... && go run .\n\nREADME.md says what is where.\n",
		n.dir, strings.Join(files, ", "), n.dir)
	return nil
}

// check reads the flags, and returns what is wrong with them.
func (n *newService) check() error {
	if !serviceName.MatchString(n.Name) {
		return usage("%q is no name for a service: want up to 40 lower-case letters, digits and hyphens, a letter "+
			"first, for its queue is named by it", n.Name)
	}
	if !slices.Contains([]string{"worker", "api", "both"}, n.kind) {
		return usage("--kind is %q: want worker, api or both", n.kind)
	}
	n.HTTP, n.Tasks = n.kind != "worker", n.kind != "api"
	n.Module = cmp.Or(n.Module, n.Name)
	if !modulePath.MatchString(n.Module) || path.Clean(n.Module) != n.Module {
		return usage("--module is %q: want a path like example.org/%s", n.Module, n.Name)
	}
	n.dir = cmp.Or(n.dir, n.Name)
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
	checkout, err := filepath.Abs(n.Replace)
	if err != nil {
		return err
	}
	dir, err := filepath.Abs(n.dir)
	if err != nil {
		return err
	}
	text, err := os.ReadFile(filepath.Join(checkout, "go.mod"))
	if err != nil || !bytes.HasPrefix(text, []byte("module "+chassisModule+"\n")) {
		return usage("--replace is %q: want a checkout of the chassis", n.Replace)
	}
	n.Replace, n.Version = checkout, "v0.0.0"
	if rel, err := filepath.Rel(dir, checkout); err == nil { // on Windows no relative path leads to another drive
		n.Replace = filepath.ToSlash(rel)
	}
	if strings.ContainsAny(n.Replace, " \t\"'`") {
		n.Replace = fmt.Sprintf("%q", n.Replace)
	}
	return nil
}

// modules runs go mod tidy, and with a checkout go mod vendor.
func (n *newService) modules(ctx context.Context) error {
	commands := []string{"tidy"}
	if n.Replace != "" && n.vendor {
		commands = append(commands, "vendor")
	}
	for _, command := range commands {
		c := exec.CommandContext(ctx, "go", "mod", command)
		c.Dir = n.dir
		out, err := c.CombinedOutput()
		switch {
		case err == nil:
		case n.Replace == "" && bytes.Contains(out, []byte(chassisModule)):
			return fmt.Errorf("%[1]s is written, but there is no published module %[2]s yet: put a checkout next to "+
				"it, and run in %[1]s: go mod edit -require %[2]s@v0.0.0 -replace %[2]s=../chassis && go mod tidy && "+
				"go mod vendor", n.dir, chassisModule)
		default:
			return fmt.Errorf("%s is written, but go mod %s failed in it: %w\n%s", n.dir, command, err,
				bytes.TrimSpace(out))
		}
	}
	return nil
}
