package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sambatech/chassis/settings"
)

// The exit codes, as main.go lists them.
const (
	exitFailed      = 1
	exitUsage       = 2
	exitSettings    = 3
	exitNotFound    = 4
	exitUnconfirmed = 5
	exitInterrupted = 130
)

// coded is an error with an exit code.
type coded struct {
	code int
	err  error
}

func (e *coded) Error() string { return e.err.Error() }
func (e *coded) Unwrap() error { return e.err }

func usage(format string, args ...any) error {
	return &coded{exitUsage, fmt.Errorf(format, args...)}
}

func notFound(format string, args ...any) error {
	return &coded{exitNotFound, fmt.Errorf(format, args...)}
}

// ran marks what a command itself returned; all other errors are cobra's, of
// wrong usage.
type ran struct{ error }

func (r ran) Unwrap() error { return r.error }

// app is one run of the command.
type app struct {
	in       io.Reader
	out, err io.Writer
	json     bool
}

// run runs the command line and returns the exit code.
func run(ctx context.Context, args []string, in io.Reader, out, errOut io.Writer) int {
	a := &app{in: in, out: harmless{out}, err: harmless{errOut}}
	root := a.command()
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errOut)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	a.json = a.json || slices.Contains(args, "--json") // flags after a wrong one are not parsed
	code := a.codeOf(ctx, err)
	a.report(err, code)
	return code
}

func (a *app) codeOf(ctx context.Context, err error) int {
	var own *coded
	var done ran
	switch {
	case errors.As(err, &own):
		return own.code
	case !errors.As(err, &done):
		return exitUsage
	case ctx.Err() != nil && errors.Is(err, context.Canceled):
		return exitInterrupted
	case len(settings.Mistakes(err)) > 0:
		return exitSettings
	}
	return exitFailed
}

func (a *app) report(err error, code int) {
	if a.json {
		// stderr is the last resort: its error is ignored.
		_ = json.NewEncoder(a.err).Encode(map[string]any{"error": err.Error(), "exit_code": code})
		return
	}
	fmt.Fprintf(a.err, "chassis: %s\n", strings.TrimPrefix(err.Error(), "chassis: "))
	if code == exitUsage {
		fmt.Fprintln(a.err, "Run the command with --help to see how it is used.")
	}
}

func (a *app) command() *cobra.Command {
	root := &cobra.Command{
		Use:           "chassis",
		Version:       release(),
		Short:         "Work on the queues, tasks, dead letters and settings of services on the chassis",
		Long:          longHelp,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.PersistentFlags().BoolVar(&a.json, "json", false, "write JSON")
	root.AddCommand(a.queueCommand(), a.sendCommand(), a.deadCommand(), a.settingsCommand(), a.topCommand(),
		a.breakerCommand(), a.cronCommand(), a.execCommand(), a.fleetCommand(), a.newCommand())
	return a.group(root)
}

// version is set by make release.
var version string

// release returns the version of the command: that of its release, or of the
// module that "go install" built it from.
func release() string {
	if info, ok := debug.ReadBuildInfo(); version == "" && ok {
		return info.Main.Version
	}
	return version
}

const longHelp = `Work on the queues, tasks, dead letters and settings of services on the chassis.

The queue is the one that the settings of the working directory name
(chassis.yaml, CHASSIS_...), at queue.listen if the service runs and holds its
file, unless flags say otherwise: --path for the file of an embedded queue that
no service has open, --endpoint for anything that speaks SQS, --region and
--profile for AWS.

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 settings with mistakes, 4 not
found, 5 not confirmed, 130 interrupted.`

// group makes a command of commands refuse any other word.
func (a *app) group(c *cobra.Command) *cobra.Command {
	c.Args = cobra.NoArgs
	c.RunE = func(c *cobra.Command, _ []string) error {
		var names []string
		for _, sub := range c.Commands() {
			if sub.IsAvailableCommand() {
				names = append(names, sub.Name())
			}
		}
		return usage("%s: which of %s?", c.CommandPath(), strings.Join(names, ", "))
	}
	return c
}

// runs makes a command's function one with errors apart from wrong usage.
func runs(f func(ctx context.Context, args []string) error) func(*cobra.Command, []string) error {
	return func(c *cobra.Command, args []string) error {
		if err := f(c.Context(), args); err != nil {
			return ran{err}
		}
		return nil
	}
}
