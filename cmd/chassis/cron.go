package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/sambatech/chassis/actors/schedules"
	"github.com/sambatech/chassis/admin"
)

func (a *app) cronCommand() *cobra.Command {
	c := a.group(&cobra.Command{
		Use: "cron", Short: "Schedules of a running service: look at them, run one now, pause and resume",
		Long: `Schedules of a running service, by the admin API of one of its processes. A
pause holds for the whole fleet. The token, if the service wants one, is the
setting admin.token: of a settings file or of the variable CHASSIS_ADMIN__TOKEN.`,
	})
	by := a.atDesk(c)
	c.AddCommand(a.cronLs(by))
	for _, order := range []struct{ use, short, path, done string }{
		{"run", "Send the task of a schedule now, apart from its ticks", "run", "was sent"},
		{"pause", "Pause a schedule in the whole fleet", "pause", "is paused"},
		{"resume", "End the pause of a schedule", "resume", "goes on"},
	} {
		c.AddCommand(&cobra.Command{
			Use: order.use + " NAME", Short: order.short, Args: cobra.ExactArgs(1),
			RunE: by(func(ctx context.Context, d *desk, args []string) error {
				var answer admin.ScheduleRun
				body := map[string]any{"name": args[0]}
				if err := d.post(ctx, "/api/v1/schedules/"+order.path, body, &answer); err != nil {
					return err
				}
				if a.json {
					return a.printJSON(answer)
				}
				_, err := fmt.Fprintln(a.out, args[0], order.done, answer.ExecID)
				return err
			}),
		})
	}
	return c
}

func (a *app) cronLs(by byDesk) *cobra.Command {
	return &cobra.Command{
		Use: "ls", Aliases: []string{"list"}, Short: "List the schedules, with what is next and what was last",
		Args: cobra.NoArgs,
		RunE: by(func(ctx context.Context, d *desk, _ []string) error {
			var all admin.ScheduleList
			if err := d.get(ctx, "/api/v1/schedules", &all); err != nil {
				return err
			}
			var rows [][]string
			for _, s := range all.List {
				if a.json {
					if err := a.printLine(s); err != nil {
						return err
					}
					continue
				}
				rows = append(rows, scheduleRow(s))
			}
			if a.json {
				return nil
			}
			return a.table("SCHEDULE\tTIMES\tNEXT\tLAST SENT\tLAST RUN\tTOOK\tMISSED\tSKIPPED", rows)
		}),
	}
}

func scheduleRow(s schedules.Status) []string {
	next, run, took := stampOf(s.Next), "", ""
	if s.Paused != "" {
		next = "paused by " + s.Paused
	}
	if r := s.LastRun; r != nil {
		run, took = stampOf(r.Began), time.Duration(r.Seconds*float64(time.Second)).Round(time.Millisecond).String()
		if r.Error != "" {
			run += " failed"
		}
	}
	return []string{s.Name, s.Expr + " " + s.Zone, next, stampOf(s.LastSent), run, took,
		strconv.FormatUint(s.Missed, 10), strconv.FormatUint(s.Skipped, 10)}
}

func stampOf(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}
