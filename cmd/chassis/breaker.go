package main

import (
	"context"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sambatech/chassis/actors/breaker"
	"github.com/sambatech/chassis/admin"
)

// forced are the states that an operator can force, by their words on the command line.
var forced = map[string]breaker.State{
	"open": breaker.ForcedOpen, "closed": breaker.ForcedClosed, "metrics-only": breaker.MetricsOnly,
}

func (a *app) breakerCommand() *cobra.Command {
	c := a.group(&cobra.Command{
		Use: "breaker", Short: "Circuit breakers of a running service: look at them, force and reset them",
		Long: `Circuit breakers of a running service, by its admin API. The token, if the
service wants one, is the setting admin.token: of a settings file or of the
variable CHASSIS_ADMIN__TOKEN.`,
	})
	by := a.atDesk(c)
	c.AddCommand(a.breakerLs(by), a.breakerForce(by), a.breakerReset(by))
	return c
}

// atDesk adds the flags that find the admin API of a service, and returns what makes a
// function that needs it one of a command.
func (a *app) atDesk(c *cobra.Command) byDesk {
	var at string
	var files []string
	c.PersistentFlags().StringVar(&at, "admin", "",
		"URL of the service's admin server (default the settings' admin.listen, or http://"+admin.DefaultListen+")")
	c.PersistentFlags().StringArrayVar(&files, "settings", nil, "settings file of the service")
	return func(f func(ctx context.Context, d *desk, args []string) error) func(*cobra.Command, []string) error {
		return runs(func(ctx context.Context, args []string) error {
			d, err := a.openDesk(at, files)
			if err != nil {
				return err
			}
			defer d.client.CloseIdleConnections()
			return f(ctx, d, args)
		})
	}
}

// byDesk makes a function that needs the admin API one of a command.
type byDesk func(func(ctx context.Context, d *desk, args []string) error) func(*cobra.Command, []string) error

func (a *app) breakerLs(by byDesk) *cobra.Command {
	return &cobra.Command{
		Use: "ls [SERVICE]", Aliases: []string{"list"}, Short: "List the breakers and their paths",
		Args: cobra.MaximumNArgs(1),
		RunE: by(func(ctx context.Context, d *desk, args []string) error {
			all, err := d.breakers(ctx)
			if err != nil {
				return err
			}
			if len(args) > 0 {
				all = slices.DeleteFunc(all, func(b admin.Breaker) bool { return b.Service != args[0] })
				if len(all) == 0 {
					return notFound("the service has no breaker of %s", args[0])
				}
			}
			if a.json {
				for _, b := range all {
					if err := a.printLine(b); err != nil {
						return err
					}
				}
				return nil
			}
			var rows [][]string
			for _, b := range all {
				for _, e := range b.Entries {
					rows = append(rows, []string{b.Service + e.Entry, e.State.String(), strconv.Itoa(e.Failures),
						timeLeft(e, time.Now())})
				}
			}
			return a.table("SERVICE AND PATH\tSTATE\tFAILURES\tENDS", rows)
		}),
	}
}

// timeLeft is how long the state of an entry still lasts, for people.
func timeLeft(e breaker.EntryStatus, now time.Time) string {
	switch {
	case !e.Until.IsZero():
		return "in " + ago(max(e.Until.Sub(now), 0).Seconds())
	case slices.Contains(slices.Collect(maps.Values(forced)), e.State):
		return "by a reset"
	}
	return ""
}

func (a *app) breakerForce(by byDesk) *cobra.Command {
	last := admin.ForceTime
	words := strings.Join(slices.Sorted(maps.Keys(forced)), "|")
	c := &cobra.Command{
		Use: "force " + words + " SERVICE [PATH]", Short: "Force a state of a service, or of a path and below, for a time",
		Long: `Force a state of a service, or of a path of it and what is below: open refuses
all calls, closed lets all through and counts none, metrics-only lets all
through and logs what would have been. It ends by itself; the log has the end.`,
		Args: cobra.RangeArgs(2, 3),
		RunE: by(func(ctx context.Context, d *desk, args []string) error {
			to, known := forced[args[0]]
			if !known {
				return usage("%q is no state to force: want %s", args[0], words)
			}
			if last < 0 {
				return usage("--for is %v: want 0s (until a reset) or more", last)
			}
			body := map[string]any{"service": args[1], "path": pathOf(args, 2), "to": to, "for": last.String()}
			if err := d.post(ctx, "/api/v1/breakers/force", body, &body); err != nil {
				return err
			}
			if a.json {
				return a.printJSON(body)
			}
			until := "until it is reset"
			if last > 0 {
				until = "for " + last.String()
			}
			_, err := fmt.Fprintf(a.out, "%s%s is %v %s\n", args[1], pathOf(args, 2), to, until)
			return err
		}),
	}
	c.Flags().DurationVar(&last, "for", last, "how long it lasts; 0s: until a reset")
	return c
}

func (a *app) breakerReset(by byDesk) *cobra.Command {
	return &cobra.Command{
		Use: "reset SERVICE [PATH]", Short: "Close a service, or a path and below, and end what was forced there",
		Args: cobra.RangeArgs(1, 2),
		RunE: by(func(ctx context.Context, d *desk, args []string) error {
			body := map[string]any{"service": args[0], "path": pathOf(args, 1)}
			if err := d.post(ctx, "/api/v1/breakers/reset", body, &body); err != nil {
				return err
			}
			if a.json {
				return a.printJSON(body)
			}
			_, err := fmt.Fprintf(a.out, "%s%s is reset\n", args[0], pathOf(args, 1))
			return err
		}),
	}
}

// pathOf is the argument PATH, "" where it is left out.
func pathOf(args []string, n int) string {
	if len(args) > n {
		return args[n]
	}
	return ""
}

// breakers reads all breakers, a page at a time.
func (d *desk) breakers(ctx context.Context) (all []admin.Breaker, err error) {
	for {
		var page admin.BreakerPage
		q := url.Values{"offset": {strconv.Itoa(len(all))}}
		if err := d.get(ctx, "/api/v1/breakers?"+q.Encode(), &page); err != nil {
			return nil, err
		}
		all = append(all, page.List...)
		if len(page.List) == 0 || len(all) >= page.Total {
			return all, nil
		}
	}
}
