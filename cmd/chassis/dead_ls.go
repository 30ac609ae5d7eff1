package main

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/internal/clip"
)

func (a *app) deadLs(p *place) *cobra.Command {
	f := &filter{}
	var group bool
	c := &cobra.Command{
		Use: "ls", Aliases: []string{"list"}, Short: "List dead letters, or what they died of",
		Long: `List dead letters, the oldest first; with --json one object a line. --group lists
what they died of in place of each: how many there are of one task with one
reason and one error, where errors that differ in ids and numbers are one.`,
		Args: cobra.NoArgs,
		RunE: runs(func(ctx context.Context, _ []string) error {
			var rows []deadRow
			if err := a.letters(ctx, p, f, func(r deadRow, _ *chassis.DeadLetter) (bool, error) {
				rows = append(rows, r)
				return true, nil
			}); err != nil {
				return err
			}
			slices.SortFunc(rows, func(x, y deadRow) int { return x.Dead.Compare(y.Dead) })
			if group {
				return listing(a, "LETTERS\tTASK\tREASON\tOLDEST\tNEWEST\tERROR", grouped(rows))
			}
			return listing(a, "EXEC ID\tTASK\tREASON\tFAILURES\tDEAD SINCE\tLAST ERROR", rows)
		}),
	}
	f.flags(c)
	c.Flags().BoolVar(&group, "group", false, "count them by task, reason and error")
	return c
}

// row is one line of a list.
type row interface{ cells() []string }

// listing prints a table, or with --json one object a line.
func listing[R row](a *app, header string, rows []R) error {
	var table [][]string
	for _, r := range rows {
		if !a.json {
			table = append(table, r.cells())
		} else if err := a.printLine(r); err != nil {
			return err
		}
	}
	if a.json {
		return nil
	}
	return a.table(header, table)
}

func (r deadRow) cells() []string {
	return []string{r.ExecID, r.Task, r.Reason, strconv.Itoa(r.Failures), r.Dead.Format(time.RFC3339),
		cut(r.LastError+r.Defects, 70)}
}

// cause is the dead letters of one task with one reason and one error.
type cause struct {
	deadOf
	Letters int       `json:"letters"`
	Oldest  time.Time `json:"oldest"`
	Newest  time.Time `json:"newest"`
	ExecID  string    `json:"exec_id"` // of the newest, as an example
}

// deadOf is what the letters of a cause have in common.
type deadOf struct {
	Pool   string `json:"pool"`
	Task   string `json:"task"`
	Reason string `json:"reason"`
	Error  string `json:"error"` // without ids and numbers
}

func (c *cause) cells() []string {
	return []string{strconv.Itoa(c.Letters), c.Task, c.Reason, c.Oldest.Format(time.RFC3339),
		c.Newest.Format(time.RFC3339), cut(c.Error, 100)}
}

// grouped returns the causes of rows, which are sorted by their time: those with the most
// letters first.
func grouped(rows []deadRow) (causes []*cause) {
	each := map[deadOf]*cause{}
	for _, r := range rows {
		of := deadOf{r.Pool, r.Task, r.Reason, clip.Shape(cmp.Or(r.LastError, r.Defects))}
		if each[of] == nil {
			each[of] = &cause{deadOf: of, Oldest: r.Dead}
			causes = append(causes, each[of])
		}
		each[of].Letters++
		each[of].Newest, each[of].ExecID = r.Dead, r.ExecID
	}
	slices.SortStableFunc(causes, func(x, y *cause) int { return y.Letters - x.Letters })
	return causes
}
