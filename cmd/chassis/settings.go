package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/settings"
)

func (a *app) settingsCommand() *cobra.Command {
	c := a.group(&cobra.Command{
		Use: "settings", Short: "Check, explain and describe settings files",
		Long: `Check, explain and describe the settings of the chassis itself: its sections
log, circuit_breaker, tasks, queue and so on. Other top-level keys are a service's own
and are left alone, unless they look like a misspelling; check names them. A
service checks those too, started with --check-settings, if its main calls
chassis.CheckSettings.`,
	})
	c.AddCommand(a.settingsCheck(), a.settingsExplain(), a.settingsSchema(), a.settingsExample(),
		a.settingsReference())
	return c
}

const filesHelp = "Without FILE: chassis.yaml (or .yml), .toml and .json of the working directory. Later files go " +
	"over earlier ones, and CHASSIS_... of the environment over them all."

func layout() (*settings.Layout, error) { return settings.LayoutOf(chassis.DefaultSettings()) }

func (a *app) settingsCheck() *cobra.Command {
	var schemes []string
	c := &cobra.Command{
		Use: "check [FILE...]", Short: "Report every mistake, with its place; exit code 3 if there is one",
		Long: "Report every mistake, with its file, line and column, for CI and editors; the exit code is 3 if " +
			"there is one.\n" +
			"Top-level keys that are not the chassis' are named, and not looked at.\n" +
			"A reference to a store, like ssm:/mailer/token, is named and not read; a service started with " +
			"--check-settings, and no file, reads its stores and checks what they hold.\n" + filesHelp,
		RunE: runs(func(_ context.Context, files []string) error {
			stores := settings.NewUnread(schemes...)
			_, err := chassis.LoadSettings(append(sources(files), settings.From(stores))...)
			mistakes := settings.Mistakes(err)
			if err != nil && len(mistakes) == 0 {
				return err
			}
			if a.json {
				if mistakes == nil {
					mistakes = []*settings.Error{}
				}
				if err := a.printJSON(mistakes); err != nil {
					return err
				}
			}
			if !a.json {
				for _, m := range mistakes {
					fmt.Fprintln(a.out, m)
				}
				if len(mistakes) == 0 {
					fmt.Fprintln(a.out, "ok")
				}
			}
			if len(mistakes) == 0 || !a.json {
				if err := a.reportOthers(others(files, mistakes, stores), stores.Addresses()); err != nil {
					return err
				}
			}
			if len(mistakes) > 0 {
				return &coded{exitSettings, fmt.Errorf("mistakes in the settings: %d", len(mistakes))}
			}
			return nil
		}),
	}
	storesFlag(c, &schemes)
	return c
}

// storesFlag names the stores that settings may refer to. The default is the schemes of settings/awssource, a module
// that this command does not have.
func storesFlag(c *cobra.Command, schemes *[]string) {
	c.Flags().StringSliceVar(schemes, "stores", []string{"ssm", "secretsmanager", "appconfig"},
		"how references to the service's stores begin; they are not read")
}

// others lists the top-level keys that are not the chassis', with their places,
// less those that a mistake is about.
func others(files []string, mistakes []*settings.Error, stores settings.Store) []string {
	from := append(sources(files), settings.Shared(), settings.From(stores))
	tree, _ := settings.Open(from...) // its mistakes have been printed
	_, _ = settings.Decode(tree, chassis.DefaultSettings())
	var keys []string
	for _, e := range settings.Mistakes(tree.Unclaimed()) {
		if slices.ContainsFunc(mistakes, func(m *settings.Error) bool { return m.Pos == e.Pos }) {
			continue
		}
		if e.Path == "" {
			keys = append(keys, e.Pos.String())
			continue
		}
		keys = append(keys, fmt.Sprintf("%s (%s)", e.Path, e.Pos))
	}
	return keys
}

// reportOthers says what was not looked at, in JSON on stderr: stdout has the
// mistakes. Of a file with some, stderr has the error instead.
func (a *app) reportOthers(keys, references []string) error {
	said := map[string][]string{}
	if len(keys) > 0 {
		said["not_looked_at"] = keys
	}
	if len(references) > 0 {
		said["not_read"] = references
	}
	switch {
	case len(said) == 0:
		return nil
	case a.json:
		return json.NewEncoder(a.err).Encode(said)
	}
	var b strings.Builder
	if len(keys) > 0 {
		fmt.Fprintf(&b, "not looked at: %s\nThey are the service's own: start it with %s to check them "+
			"too.\n", strings.Join(keys, ", "), chassis.CheckSettingsFlag)
	}
	if len(references) > 0 {
		fmt.Fprintf(&b, "not read: %s\nThey refer to stores: start the service with %s where it may read them, to "+
			"check what they hold.\n", strings.Join(references, ", "), chassis.CheckSettingsFlag)
	}
	_, err := io.WriteString(a.out, b.String())
	return err
}

func (a *app) settingsExplain() *cobra.Command {
	var set bool
	var only string
	var schemes []string
	c := &cobra.Command{
		Use: "explain [FILE...]", Short: "Show every setting's value and where it comes from",
		Long: "Show every setting's value, where it comes from and what it hides; secrets are not shown.\n" + filesHelp,
		RunE: runs(func(_ context.Context, files []string) error {
			l, err := layout()
			if err != nil {
				return err
			}
			stores := settings.From(settings.NewUnread(schemes...))
			entries, wrong := l.Explain(append(sources(files), settings.Shared(), stores)...)
			if only != "" {
				entries = slices.DeleteFunc(entries, func(e settings.Entry) bool {
					return e.Path != only &&
						!strings.HasPrefix(e.Path, only+".")
				})
				if len(entries) == 0 && wrong == nil {
					return &coded{exitNotFound, fmt.Errorf("there is no setting and no section %q", only)}
				}
			}
			entries = slices.DeleteFunc(entries, func(e settings.Entry) bool { return set && e.Default })
			if a.json {
				if entries == nil {
					entries = []settings.Entry{}
				}
				return errors.Join(wrong, a.printJSON(entries))
			}
			var rows [][]string
			for _, e := range entries {
				from := e.Source.String()
				if e.Alias != "" {
					from += " (alias " + e.Alias + ", at " + e.Target.String() + ")"
				}
				for _, hidden := range e.Shadowed {
					from += fmt.Sprintf(", hides %s at %s", hidden.Value, hidden.Source)
				}
				rows = append(rows, []string{e.Path, cut(e.Value, 60), from})
			}
			return errors.Join(wrong, a.table("SETTING\tVALUE\tFROM", rows))
		}),
	}
	storesFlag(c, &schemes)
	c.Flags().BoolVar(&set, "set", false, "only what is not the default")
	c.Flags().StringVar(&only, "only", "", "only this setting or section, for example tasks")
	return c
}

func (a *app) settingsSchema() *cobra.Command {
	return a.describes("schema", "Print a JSON Schema, for editors", func(l *settings.Layout) (string, []byte, error) {
		return "json", append(l.Schema(), '\n'), nil
	})
}

func (a *app) settingsExample() *cobra.Command {
	var format string
	const what = "Print a file with every setting, its default and what it is"
	c := a.describes("example", what, func(l *settings.Layout) (string, []byte, error) {
		f, err := settings.FormatOf("x." + format)
		if err != nil || f != settings.YAML && f != settings.ENV {
			return "", nil, usage("--format is %q: want yaml or env", format)
		}
		text, err := l.Example(f, "CHASSIS")
		return format, text, err
	})
	c.Flags().StringVar(&format, "format", "yaml", "yaml or env")
	return c
}

func (a *app) settingsReference() *cobra.Command {
	const what = "Print a markdown table of every setting"
	return a.describes("reference", what, func(l *settings.Layout) (string, []byte, error) {
		return "markdown", l.Reference("CHASSIS"), nil
	})
}

// describes is a command that prints a text about all settings, with --json as a field of an object.
func (a *app) describes(
	use, short string, text func(*settings.Layout) (format string, text []byte, err error),
) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short, Args: cobra.NoArgs,
		RunE: runs(func(context.Context, []string) error {
			l, err := layout()
			if err != nil {
				return err
			}
			format, out, err := text(l)
			if err != nil {
				return err
			}
			if a.json && format != "json" {
				return a.printJSON(map[string]string{"format": format, "text": string(out)})
			}
			_, err = a.out.Write(out)
			return err
		}),
	}
}
