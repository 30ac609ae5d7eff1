package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sambatech/chassis/admin"
)

func (a *app) fleetCommand() *cobra.Command {
	c := a.group(&cobra.Command{
		Use: "fleet", Short: "The processes of a running service: look at them, and give orders to one or all",
		Long: `The processes of a running service, by the admin API of one of them. The
service must be in a fleet (package fleet). The token, if the service wants one,
is the setting admin.token: of a settings file or of the variable
CHASSIS_ADMIN__TOKEN.`,
	})
	by := a.atDesk(c)
	c.AddCommand(a.fleetLs(by), a.fleetDo(by))
	return c
}

func (a *app) fleetLs(by byDesk) *cobra.Command {
	return &cobra.Command{
		Use: "ls", Aliases: []string{"list"}, Short: "List the members, with what is not closed in each",
		Args: cobra.NoArgs,
		RunE: by(func(ctx context.Context, d *desk, _ []string) error {
			var page admin.FleetPage
			if err := d.get(ctx, "/api/v1/fleet", &page); err != nil {
				return err
			}
			var rows [][]string
			for _, m := range page.List {
				if a.json {
					if err := a.printLine(m); err != nil {
						return err
					}
					continue
				}
				rows = append(rows, memberRow(&m))
			}
			if a.json {
				return nil
			}
			return a.table("MEMBER\tADDRESS\tVERSION\tSTATE\tUP\tRATES\tNOT CLOSED\tLAST WORD", rows)
		}),
	}
}

func memberRow(m *admin.FleetMember) []string {
	name, state, age := m.Name, m.State, "none yet"
	if m.Self {
		name += " *"
	}
	if m.Gone != "" {
		state = m.Gone
	}
	if m.Age != nil {
		age = ago(*m.Age) + " ago"
	}
	var rates, open []string
	for _, r := range slices.Sorted(maps.Keys(m.Rates)) {
		rates = append(rates, fmt.Sprintf("%s %.1f/s", r, m.Rates[r]))
	}
	for _, e := range m.Open {
		open = append(open, fmt.Sprintf("%s%s %v", e.Service, e.Path, e.State))
	}
	if m.More > 0 {
		open = append(open, fmt.Sprintf("and %d more", m.More))
	}
	return []string{name, m.Addr, m.Version, state, ago(m.Uptime), strings.Join(rates, ", "), strings.Join(open, ", "),
		age}
}

// fleetOrder is one order that members can be given.
type fleetOrder struct {
	use, short, order string
	args              cobra.PositionalArgs
	body              func(args []string, last time.Duration) (map[string]any, error)
}

var fleetOrders = []fleetOrder{
	{"pause [TASK]", "Pause a task, or the whole pool", "tasks/pause", cobra.MaximumNArgs(1), taskOf},
	{"resume [TASK]", "Resume a task, or the whole pool", "tasks/resume", cobra.MaximumNArgs(1), taskOf},
	{"force open|closed|metrics-only SERVICE [PATH]", "Force a state of a breaker", "breakers/force",
		cobra.RangeArgs(2, 3), func(args []string, last time.Duration) (map[string]any, error) {
			to, known := forced[args[0]]
			if !known {
				return nil, usage("%q is no state to force: want open, closed or metrics-only", args[0])
			}
			if last < 0 {
				return nil, usage("--for is %v: want 0s (until a reset) or more", last)
			}
			return map[string]any{"service": args[1], "path": pathOf(args, 2), "to": to, "for": last.String()}, nil
		}},
	{"reset SERVICE [PATH]", "Close a breaker, and end what was forced there", "breakers/reset", cobra.RangeArgs(1, 2),
		func(args []string, _ time.Duration) (map[string]any, error) {
			return map[string]any{"service": args[0], "path": pathOf(args, 1)}, nil
		}},
	{"level NAME [LEVEL]", "Set the level of a logger; without a level give it back", "log/level",
		cobra.RangeArgs(1, 2), func(args []string, _ time.Duration) (map[string]any, error) {
			return map[string]any{"name": args[0], "level": pathOf(args, 1)}, nil
		}},
	{"cancel EXEC_ID", "Cancel an execution, wherever it runs", "executions/cancel", cobra.ExactArgs(1),
		func(args []string, _ time.Duration) (map[string]any, error) {
			return map[string]any{"exec_id": args[0]}, nil
		}},
}

func taskOf(args []string, _ time.Duration) (map[string]any, error) {
	return map[string]any{"task": pathOf(args, 0)}, nil
}

func (a *app) fleetDo(by byDesk) *cobra.Command {
	var members []string
	do := a.group(&cobra.Command{
		Use: "do", Short: "Give members an order, and show what each answers",
		Long: `Give members an order, and show what each answers: every member, or those of
--member. The exit code is 1 if one has not done it; for cancel it is 4 if none
had the execution.`,
	})
	do.PersistentFlags().StringArrayVar(&members, "member", nil,
		"name of a member, as ls shows it (default every member)")
	for _, o := range fleetOrders {
		last := admin.ForceTime
		c := &cobra.Command{Use: o.use, Short: o.short, Args: o.args, RunE: by(func(ctx context.Context, d *desk,
			args []string) error {
			body, err := o.body(args, last)
			if err != nil {
				return err
			}
			order := map[string]any{"order": o.order, "body": body, "all": len(members) == 0}
			if len(members) > 0 {
				order["members"] = members
			}
			var answers admin.FleetAnswers
			if err := d.post(ctx, "/api/v1/fleet/do", order, &answers); err != nil {
				return err
			}
			return a.showAnswers(o.order, &answers)
		})}
		if o.order == "breakers/force" {
			c.Flags().DurationVar(&last, "for", last, "how long it lasts; 0s: until a reset")
		}
		do.AddCommand(c)
	}
	return do
}

// showAnswers prints what each member has answered. It is an error if one has not done it.
func (a *app) showAnswers(order string, answers *admin.FleetAnswers) error {
	var rows [][]string
	for _, m := range answers.List {
		if a.json {
			if err := a.printLine(m); err != nil {
				return err
			}
			continue
		}
		said := "done"
		if m.Error != "" {
			said = m.Error
		}
		rows = append(rows, []string{m.Member, strconv.Itoa(m.Status), said})
	}
	if !a.json {
		if err := a.table("MEMBER\tSTATUS\tANSWER", rows); err != nil {
			return err
		}
	}
	asked := len(answers.List)
	switch {
	case order == "executions/cancel" && answers.Done > 0: // one of them had it
		return nil
	case order == "executions/cancel" && !slices.ContainsFunc(answers.List, func(m admin.FleetAnswer) bool {
		return m.Status != 404
	}):
		return notFound("no member has that execution")
	case answers.Done < asked:
		return fmt.Errorf("%d of %d members have done it", answers.Done, asked)
	}
	return nil
}
