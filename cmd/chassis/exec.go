package main

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/sambatech/chassis/admin"
)

func (a *app) execCommand() *cobra.Command {
	c := a.group(&cobra.Command{
		Use: "exec", Short: "Executions of a running service: look at one, cancel it, run it again later",
		Long: `Executions of a running service, by the admin API of one of its processes, and by
their exec_id. An order about one that is in another process reaches it if the
processes have the setting tasks.notices. The token, if the service wants one, is
the setting admin.token: of a settings file or of the variable
CHASSIS_ADMIN__TOKEN.`,
	})
	by := a.atDesk(c)
	c.AddCommand(a.execShow(by), a.execCancel(by), a.execSnooze(by))
	return c
}

func (a *app) execShow(by byDesk) *cobra.Command {
	return &cobra.Command{
		Use: "show EXEC_ID", Short: "Show what the process has of an execution, with its progress",
		Args: cobra.ExactArgs(1),
		RunE: by(func(ctx context.Context, d *desk, args []string) error {
			var page admin.ExecutionPage
			path := "/api/v1/executions?limit=500&search=" + url.QueryEscape(args[0])
			if err := d.get(ctx, path, &page); err != nil {
				return err
			}
			page.List = slices.DeleteFunc(page.List, func(e admin.Execution) bool { return e.ExecID != args[0] })
			if len(page.List) == 0 {
				return notFound("no execution %s is in this process: it has ended, waits on the queue, or is in "+
					"another one", printable(args[0]))
			}
			for _, e := range page.List {
				show := func() error { return a.table("FIELD\tVALUE", executionRows(e)) }
				if a.json {
					show = func() error { return a.printLine(e) }
				}
				if err := show(); err != nil {
					return err
				}
			}
			return nil
		}),
	}
}

func executionRows(e admin.Execution) (rows [][]string) {
	add := func(name, value string) {
		if value != "" {
			rows = append(rows, []string{name, printable(value)})
		}
	}
	add("task", e.Task)
	add("exec_id", e.ExecID)
	add("pool", e.Pool)
	add("job", e.JobID+" "+e.JobName)
	add("phase", e.Phase+" since "+stampOf(e.Since))
	add("until", stampOf(e.Until))
	add("attempt", strconv.Itoa(e.Attempt))
	add("failures", strconv.Itoa(e.Failures))
	if p := e.Progress; p != nil {
		done := strconv.FormatInt(p.Done, 10)
		if p.Total > 0 {
			done += " of " + strconv.FormatInt(p.Total, 10)
		}
		add("progress", done+" "+p.Note)
		add("reported", stampOf(p.At))
	}
	add("last error", e.Error)
	return rows
}

func (a *app) execCancel(by byDesk) *cobra.Command {
	var reason string
	c := &cobra.Command{
		Use: "cancel EXEC_ID", Short: "End an execution for good: its on_fail task, or a dead letter",
		Args: cobra.ExactArgs(1),
		RunE: by(func(ctx context.Context, d *desk, args []string) error {
			body := map[string]any{"exec_id": args[0], "reason": reason}
			return a.orderExecution(ctx, d, "cancel", body, "is cancelled")
		}),
	}
	c.Flags().StringVar(&reason, "reason", "", "for the log and the dead letter")
	return c
}

func (a *app) execSnooze(by byDesk) *cobra.Command {
	return &cobra.Command{
		Use: "snooze EXEC_ID DURATION", Short: "End the attempt of an execution, and run it again later",
		Args: cobra.ExactArgs(2),
		RunE: by(func(ctx context.Context, d *desk, args []string) error {
			wait, err := time.ParseDuration(args[1])
			if err != nil || wait <= 0 {
				return usage("%q is no duration: want one like 90s or 1h30m", args[1])
			}
			body := map[string]any{"exec_id": args[0], "for": wait.String()}
			return a.orderExecution(ctx, d, "snooze", body, "runs again in "+wait.String())
		}),
	}
}

// orderExecution gives an order about one execution, and prints what is known of it.
func (a *app) orderExecution(ctx context.Context, d *desk, order string, body map[string]any, done string) error {
	var found admin.Found
	if err := d.post(ctx, "/api/v1/executions/"+order, body, &found); err != nil {
		return err
	}
	if a.json {
		return a.printJSON(found)
	}
	if found.Found == 0 {
		done = "is not in this process: a notice was sent to those that take them"
	}
	_, err := fmt.Fprintln(a.out, printable(fmt.Sprint(body["exec_id"])), done)
	return err
}
