package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/time/rate"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/actors/dispatcher"
	"github.com/sambatech/chassis/actors/pools"
	"github.com/sambatech/chassis/task"
)

// filter chooses dead letters.
type filter struct {
	ids                     []string // message or exec ids
	pool                    string   // by the admin API; empty: all of the service's
	task, reason, job, text string
	older, newer            time.Duration
	limit                   int
}

func (f *filter) flags(c *cobra.Command) {
	c.Flags().StringVar(&f.task, "task", "", "of the task of this name")
	c.Flags().StringVar(&f.reason, "reason", "",
		"given up for this reason: exhausted, cancelled, undecodable, unknown, sealed, too_late")
	c.Flags().StringVar(&f.job, "job", "", "of the job with this id or name")
	c.Flags().StringVar(&f.text, "error", "", "with a last error that contains this text")
	c.Flags().DurationVar(&f.older, "older-than", 0, "dead for longer than this")
	c.Flags().DurationVar(&f.newer, "newer-than", 0, "dead for less than this")
	c.Flags().IntVar(&f.limit, "limit", 0, "so many at most (default all)")
}

func (f *filter) check() error {
	if f.limit < 0 || f.older < 0 || f.newer < 0 {
		return usage("--limit, --older-than and --newer-than cannot be negative")
	}
	if f.reason != "" && !slices.Contains([]string{task.ReasonExhausted, task.ReasonCancelled, task.ReasonUndecodable,
		task.ReasonUnknown, task.ReasonSealed, task.ReasonTooLate}, f.reason) {
		return usage("--reason is %q: want exhausted, cancelled, undecodable, unknown, sealed or too_late", f.reason)
	}
	return nil
}

// any says whether the filter leaves anything out.
func (f *filter) any() bool {
	return len(f.ids) > 0 || f.task != "" || f.reason != "" || f.job != "" || f.text != "" ||
		f.older > 0 || f.newer > 0
}

func (f *filter) takes(d deadRow, now time.Time) bool {
	age := now.Sub(d.Dead)
	return (f.pool == "" || f.pool == d.Pool) &&
		(len(f.ids) == 0 || slices.Contains(f.ids, d.MessageID) || slices.Contains(f.ids, d.ExecID)) &&
		(f.task == "" || f.task == d.Task) && (f.reason == "" || f.reason == d.Reason) &&
		(f.job == "" || f.job == d.JobID || f.job == d.JobName) &&
		strings.Contains(d.LastError, f.text) &&
		(f.older == 0 || age > f.older) && (f.newer == 0 || age < f.newer)
}

// deadRow is one dead letter, as JSON shows it.
type deadRow struct {
	MessageID string    `json:"message_id"`
	Pool      string    `json:"pool"`
	Task      string    `json:"task"`
	ExecID    string    `json:"exec_id"`
	JobID     string    `json:"job_id"`
	JobName   string    `json:"job_name"`
	Reason    string    `json:"reason"`
	Failures  int       `json:"failures"`
	LastError string    `json:"last_error"`
	Dead      time.Time `json:"dead_since"`
	Body      string    `json:"body"`
	Sealed    string    `json:"sealed,omitempty"` // what the envelope of the body says of itself
	Defects   string    `json:"defects,omitempty"`
}

func rowOf(d *chassis.DeadLetter) deadRow {
	r := deadRow{
		d.MessageID, d.Pool, d.Name, d.ExecID, d.JobID, d.JobName,
		d.Reason, d.Failures, d.LastError, d.Sent, d.Body, d.SealedAs(), "",
	}
	if d.Defects != nil {
		r.Defects = d.Defects.Error()
	}
	return r
}

func (a *app) deadCommand() *cobra.Command {
	c := a.group(&cobra.Command{
		Use: "dead", Short: "Dead letters: look at them, send them back, delete them",
		Long: `Dead letters of a task pool: what was given up, with its reason. To look at one
hides it from others for half a minute, and counts as a delivery of the
dead letter, which nothing depends on.`,
	})
	p := &place{}
	p.flags(c)
	p.poolFlag(c)
	c.PersistentFlags().StringVar(&p.admin, "admin", "", "use the admin API of a running service at this URL, "+
		"in place of the queue; without --pool for all of its pools")
	c.AddCommand(a.deadLs(p), a.deadShow(p), a.deadAct(p, sendBack), a.deadAct(p, remove))
	return c
}

// settling is what can be done to a dead letter: by the queue, and by the admin
// API.
type settling struct {
	name, short, done string
	act               func(*chassis.DeadLetter, context.Context) error
	path              string
	confirm           string // what the API wants to hear, and the user is asked for
}

var (
	sendBack = settling{"back", "Send dead letters back to their pool, with a fresh failure budget", "sent back",
		(*chassis.DeadLetter).SendBack, "/api/v1/dead/back", ""}
	remove = settling{"rm", "Delete dead letters, for good", "deleted",
		(*chassis.DeadLetter).Delete, "/api/v1/dead/delete", "delete"}
)

// letters goes through the dead letters that f takes until f's limit, or until
// do says that it is enough. With the admin API do gets no letter, only its row.
func (a *app) letters(
	ctx context.Context, p *place, f *filter, do func(deadRow, *chassis.DeadLetter) (more bool, err error),
) error {
	if err := f.check(); err != nil {
		return err
	}
	if p.admin != "" {
		return a.lettersOver(ctx, p, f, do)
	}
	return p.with(ctx, func(q *queues) error {
		pool, err := q.poolName()
		if err != nil {
			return err
		}
		set := q.settings.Tasks.OnlyPool(pool)
		if err := set.Validate(); err != nil {
			return err
		}
		letters := pools.New(pools.Config{Settings: set, Queue: q.Queue})
		defer letters.Close()
		taken, now := 0, time.Now()
		for d, err := range letters.DeadLetters(ctx) {
			if err != nil {
				return fmt.Errorf("%w (pool %q)", err, pool)
			}
			row := rowOf(d)
			if !f.takes(row, now) {
				continue
			}
			taken++
			more, err := do(row, d)
			if err != nil || !more || taken == f.limit {
				return err
			}
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
		}
		return nil
	})
}

func (a *app) deadShow(p *place) *cobra.Command {
	var o opening
	c := &cobra.Command{
		Use: "show ID", Short: "Show a dead letter by its exec id or message id", Args: cobra.ExactArgs(1),
		Long: `Show a dead letter by its exec id or message id. Arguments in an envelope are
opened on this machine, by the keys of --key-file: the service that --admin
names gets no key, and sends them as they are on the queue.`,
		RunE: runs(func(ctx context.Context, args []string) error {
			opener, err := o.opener(p.files)
			if err != nil {
				return err
			}
			defer opener.close()
			var found *deadRow
			if err := a.letters(ctx, p, &filter{ids: args}, func(r deadRow, _ *chassis.DeadLetter) (bool, error) {
				found = &r
				return false, nil
			}); err != nil {
				return err
			}
			if found == nil {
				return notFound("there is no dead letter %s that can be seen now; "+
					"another look hides it for a while", args[0])
			}
			var closed error
			if found.Body, found.Sealed, closed = opener.open(ctx, found.Body); closed != nil && o != (opening{}) {
				return closed
			}
			if a.json {
				return a.printJSON(found)
			}
			for _, l := range [][2]string{
				{"task", found.Task}, {"exec id", found.ExecID}, {"message id", found.MessageID}, {"job", found.JobID + " " + found.JobName},
				{"reason", found.Reason}, {"failures", strconv.Itoa(found.Failures)}, {"dead since", found.Dead.Format(time.RFC3339)},
				{"last error", found.LastError}, {"defects", found.Defects}, {"sealed", found.Sealed},
			} {
				if l[1] != "" {
					fmt.Fprintf(a.out, "%-11s %s\n", l[0], printable(l[1]))
				}
			}
			if closed != nil {
				fmt.Fprintf(a.out, "\nThe arguments are in an envelope: %s\n", printable(closed.Error()))
				return nil
			}
			fmt.Fprintf(a.out, "\n%s\n", printable(pretty(found.Body)))
			return nil
		}),
	}
	o.flags(c.Flags())
	return c
}

// pretty indents JSON, and leaves other text as it is.
func pretty(body string) string {
	var b strings.Builder
	var v json.RawMessage
	if json.Unmarshal([]byte(body), &v) != nil {
		return body
	}
	e := json.NewEncoder(&b)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	if e.Encode(v) != nil {
		return body
	}
	return strings.TrimSpace(b.String())
}

// deadAct is a command that does something to each dead letter of a filter.
func (a *app) deadAct(p *place, what settling) *cobra.Command {
	f := &filter{}
	var all, yes, dry bool
	var perSecond float64
	c := &cobra.Command{
		Use: what.name + " [ID...]", Short: what.short,
		Long: what.short + `.

Name them by exec id or message id, by a filter, or give --all. It stops at the
first that cannot be settled, and says how many were; it may be run again.`,
		RunE: runs(func(ctx context.Context, args []string) error {
			f.ids = args
			switch {
			case !f.any() && !all:
				return usage("which ones? Give ids, a filter like --task NAME, or --all")
			case f.any() && all:
				return usage("--all is all of them: leave out the ids and filters, or --all")
			}
			if err := checkRate(perSecond, "dead letters"); err != nil {
				return err
			}
			if what.confirm != "" && !dry {
				if err := a.confirm(yes, "Delete dead letters, for good?"); err != nil {
					return err
				}
			}
			return a.settleDead(ctx, p, f, dry, perSecond, what)
		}),
	}
	f.flags(c)
	c.Flags().BoolVar(&all, "all", false, "all dead letters of the pool")
	c.Flags().BoolVar(&dry, "dry-run", false, "only print which ones")
	c.Flags().Float64Var(&perSecond, "rate", 0, "so many a second, at most (default: as fast as it goes)")
	if what.confirm != "" {
		c.Flags().BoolVar(&yes, "yes", false, "do not ask")
	}
	return c
}

func (a *app) settleDead(ctx context.Context, p *place, f *filter, dry bool, perSecond float64, what settling) error {
	bar := a.progress(a.howMany(ctx, p, f), what.done)
	ids := []string{}
	settled := func(execIDs ...string) {
		ids = append(ids, execIDs...)
		bar.add(len(execIDs))
	}
	var err error
	if p.admin != "" && !dry {
		err = a.settleOver(ctx, p, f, perSecond, what, settled)
	} else {
		bucket := limiter(perSecond, 1)
		err = a.letters(ctx, p, f, func(r deadRow, d *chassis.DeadLetter) (bool, error) {
			if !dry {
				if err := bucket.Wait(ctx); err != nil {
					return false, context.Cause(ctx)
				}
				if err := what.act(d, ctx); err != nil {
					return false, err
				}
			}
			settled(r.ExecID)
			return len(f.ids) == 0 || len(ids) < len(f.ids), nil
		})
	}
	bar.end()
	done := what.done
	if dry {
		done = "would be " + done
	}
	if a.json {
		err = errors.Join(err, a.printJSON(map[string]any{"count": len(ids), "exec_ids": ids, "dry_run": dry}))
	} else {
		fmt.Fprintf(a.out, "%d dead letters %s\n", len(ids), done)
	}
	if err == nil && len(ids) == 0 && len(f.ids) > 0 {
		return notFound("none of them is among the dead letters that can be seen now; " +
			"another look hides one for a while")
	}
	return err
}

// checkRate refuses what is no rate; NaN and infinities are numbers to the flag.
func checkRate(perSecond float64, what string) error {
	if perSecond >= 0 && perSecond <= 1e6 {
		return nil
	}
	return usage("--rate is %v: want %s a second, above 0 and at most a million", perSecond, what)
}

// limiter of so many a second, 0 for no limit.
func limiter(perSecond float64, burst int) *rate.Limiter {
	if perSecond == 0 {
		return rate.NewLimiter(rate.Inf, burst)
	}
	return rate.NewLimiter(rate.Limit(perSecond), burst)
}

// howMany is the end of a progress bar: all there are, or the limit; 0 if it
// is not known.
func (a *app) howMany(ctx context.Context, p *place, f *filter) int {
	if len(f.ids) > 0 || a.json || !isTerminal(a.err) || p.admin != "" {
		return len(f.ids)
	}
	n := 0
	_ = p.with(ctx, func(q *queues) error { // the next request reports the error
		pool := cmp.Or(q.settings.Tasks.DeadLetterPool, dispatcher.DeadLetterPool(q.settings.Tasks.TaskPool))
		url, err := q.url(ctx, pool)
		if err != nil {
			return err
		}
		row, err := q.row(ctx, url)
		n = row.Visible
		return err
	})
	if f.limit > 0 {
		n = min(n, f.limit)
	}
	return n
}
