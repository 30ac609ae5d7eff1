package main

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/sambatech/chassis/admin"
)

func (a *app) execCommand() *cobra.Command {
	c := a.group(&cobra.Command{
		Use: "exec", Short: "Executions of a running service: look at one, cancel it, run it again later",
		Long: `Executions of a running service, by the admin API of one of its processes, and by
their exec_id. One that is in another process is found if the processes are a
fleet (package fleet); an order reaches it too if they have the setting
tasks.notices. The token, if the service wants one, is the setting admin.token:
of a settings file or of the variable CHASSIS_ADMIN__TOKEN.`,
	})
	by := a.atDesk(c)
	c.AddCommand(a.execShow(by), a.execCancel(by), a.execSnooze(by))
	return c
}

func (a *app) execShow(by byDesk) *cobra.Command {
	return &cobra.Command{
		Use: "show EXEC_ID", Short: "Show what the process, or its fleet, has of an execution, with its progress",
		Args: cobra.ExactArgs(1),
		RunE: by(func(ctx context.Context, d *desk, args []string) error {
			list, err := d.executions(ctx, "", args[0])
			if err != nil {
				return err
			}
			where, silent := "in this process", ""
			if len(list) == 0 {
				var asked, missing int
				if list, asked, missing = d.ofOthers(ctx, args[0]); asked > 0 {
					where = fmt.Sprintf("in this process, or in another of its fleet (%d have answered)",
						asked-missing)
				}
				if missing > 0 {
					silent = fmt.Sprintf("; %d members of the fleet have not answered", missing)
				}
			}
			if len(list) == 0 {
				return notFound("no execution %s is %s: it has ended, waits on the queue, or is in another one%s",
					printable(args[0]), where, silent)
			}
			for _, e := range list {
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

// seen is an execution, and the member of the fleet that has it if that is another process.
type seen struct {
	Member string `json:"member,omitempty"`
	admin.Execution
}

// executions returns what a member has of an execution; without a name the process itself.
func (d *desk) executions(ctx context.Context, member, execID string) (list []seen, err error) {
	path := "/api/v1/"
	if member != "" {
		path += "fleet/" + url.PathEscape(member) + "/"
	}
	var page admin.ExecutionPage
	if err := d.get(ctx, path+"executions?limit=500&search="+url.QueryEscape(execID), &page); err != nil {
		return nil, err
	}
	for _, e := range page.List {
		if e.ExecID == execID {
			list = append(list, seen{member, e})
		}
	}
	return list, nil
}

// ofOthers asks the other members of the fleet, if there is one, all at once.
func (d *desk) ofOthers(ctx context.Context, execID string) (list []seen, asked, missing int) {
	var fleet admin.FleetPage
	if d.get(ctx, "/api/v1/fleet", &fleet) != nil {
		return nil, 0, 0 // it is in none
	}
	others := slices.DeleteFunc(fleet.List, func(m admin.FleetMember) bool { return m.Self || m.Gone != "" })
	lists, errs := make([][]seen, len(others)), make([]error, len(others))
	var looks sync.WaitGroup
	places := make(chan struct{}, 32)
	for i, m := range others {
		looks.Go(func() {
			places <- struct{}{}
			defer func() { <-places }()
			lists[i], errs[i] = d.executions(ctx, m.Name, execID)
		})
	}
	looks.Wait()
	missing = len(slices.DeleteFunc(errs, func(err error) bool { return err == nil }))
	return slices.Concat(lists...), len(others), missing
}

func executionRows(e seen) (rows [][]string) {
	add := func(name, value string) {
		if value != "" {
			rows = append(rows, []string{name, printable(value)})
		}
	}
	add("member", e.Member)
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
