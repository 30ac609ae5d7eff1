package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/admin"
)

// adminPage is how many dead letters the admin API shows at once, at most.
const adminPage = 1000

// pageOver is the dead letters that a running service shows.
func (d *desk) pageOver(ctx context.Context) (rows []deadRow, more bool, err error) {
	var page admin.DeadPage
	if err := d.get(ctx, fmt.Sprintf("/api/v1/dead?limit=%d", adminPage), &page); err != nil {
		return nil, false, err
	}
	for _, l := range page.List {
		rows = append(rows, deadRow{l.ID, l.Pool, l.Task, l.ExecID, l.JobID, l.JobName, l.Reason, l.Failures,
			l.LastError, l.Sent, l.Body, l.Sealed, l.Defects})
	}
	return rows, page.More, nil
}

// unseen warns that the filter has not seen all: the API has no pages beyond the
// first.
func (a *app) unseen(more bool) {
	if !more {
		return
	}
	text := fmt.Sprintf("the service shows %d dead letters at once, and has more that were not looked at: without "+
		"--admin all are", adminPage)
	if a.json {
		_ = json.NewEncoder(a.err).Encode(map[string]string{"warning": text}) // as in report
		return
	}
	fmt.Fprintf(a.err, "chassis: %s\n", text)
}

func (a *app) lettersOver(
	ctx context.Context, p *place, f *filter, do func(deadRow, *chassis.DeadLetter) (bool, error),
) error {
	d, err := a.openDesk(p.admin, p.files)
	if err != nil {
		return err
	}
	defer d.client.CloseIdleConnections()
	rows, more, err := d.pageOver(ctx)
	if err != nil {
		return err
	}
	f.pool = p.pool
	taken := 0
	for _, r := range rows {
		if !f.takes(r, time.Now()) {
			continue
		}
		taken++
		if more, err := do(r, nil); err != nil || !more || taken == f.limit {
			return err
		}
	}
	a.unseen(more)
	return nil
}

// settleOver settles by the admin API, a hundred in a request and no more than
// perSecond, page after page as long as there is something that f takes.
func (a *app) settleOver(ctx context.Context, p *place, f *filter, perSecond float64, what settling,
	settled func(execIDs ...string)) error {
	d, err := a.openDesk(p.admin, p.files)
	if err != nil {
		return err
	}
	defer d.client.CloseIdleConnections()
	batch := 100
	if perSecond > 0 {
		batch = max(1, min(batch, int(perSecond)))
	}
	bucket := limiter(perSecond, batch)
	if err := f.check(); err != nil {
		return err
	}
	f.pool = p.pool
	tried, now := map[string]bool{}, time.Now()
	for {
		rows, more, err := d.pageOver(ctx)
		if err != nil {
			return err
		}
		var ids []string
		execs := map[string]string{}
		for _, r := range rows {
			if f.takes(r, now) && !tried[r.MessageID] && (f.limit == 0 || len(tried) < f.limit) {
				ids, execs[r.MessageID], tried[r.MessageID] = append(ids, r.MessageID), r.ExecID, true
			}
		}
		for rest := ids; len(rest) > 0; {
			some := rest[:min(batch, len(rest))]
			rest = rest[len(some):]
			if err := bucket.WaitN(ctx, len(some)); err != nil {
				return context.Cause(ctx)
			}
			done, err := d.settle(ctx, some, what)
			for _, id := range done {
				settled(execs[id])
			}
			if err != nil {
				return err
			}
		}
		if f.limit > 0 && len(tried) >= f.limit {
			return nil
		}
		if len(ids) == 0 || !more {
			a.unseen(more && (len(f.ids) == 0 || len(tried) < len(f.ids)))
			return nil
		}
	}
}

func (d *desk) settle(ctx context.Context, ids []string, what settling) (done []string, err error) {
	body := map[string]any{"ids": ids}
	if what.confirm != "" {
		body["confirm"] = what.confirm
	}
	var answer admin.Found
	err = d.post(ctx, what.path, body, &answer)
	return answer.IDs, err
}
