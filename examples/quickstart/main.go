// Quickstart mails a few thousand people through a mail gateway that has a bad
// day, and accounts for each of them.
//
//	go run ./examples/quickstart
//
// It sends one task a row of recipients.csv to a durable embedded queue, and
// runs the tasks behind a circuit breaker against an HTTP gateway on loopback
// that fails for a while, answers slowly and answers 503. Kill it in the
// middle, by kill -9 if you like, and start it again: it carries on. It exits
// with 0 only if every row is accounted for.
package main

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/actors/breaker"
	"github.com/sambatech/chassis/settings"
	"github.com/sambatech/chassis/task"
)

//go:embed chassis.yaml
var settingsYAML []byte

// defineMail returns the task, which mails through the gateway at a URL. A failure is
// waited out for a short while and then tried again, up to eight times. While the
// breaker of the gateway is open no attempt begins, and none of that is the task's failure.
func defineMail(gateway string) *task.Definition[Recipient] {
	return task.Define[Recipient]("mail",
		task.Behind(gateway+"/v1/messages"),
		task.MaxFailures(8),
		task.Wait(200*time.Millisecond, task.Arithmetic),
		task.Deadline(5*time.Second),
	)
}

func main() {
	dir := flag.String("data", "", "folder of the queue and the gateway's journal; removed at the end "+
		"(default chassis-quickstart in the user's cache folder)")
	fresh := flag.Bool("fresh", false, "start over: remove what an earlier run that was killed has left")
	flag.Parse()
	place, err := folder(*dir)
	if err == nil {
		err = run(context.Background(), place, *fresh, os.Stdout)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "quickstart:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, dir string, fresh bool, out *os.File) error {
	if fresh {
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
	}
	if err := ownFolder(dir); err != nil {
		return err
	}
	rows, err := readRecipients(strings.NewReader(recipientsCSV))
	if err != nil {
		return err
	}
	plan, err := openPlan(dir, len(rows))
	if err != nil {
		return err
	}
	gate, err := openGateway(ctx, dir)
	if err != nil {
		return err
	}
	defer func() { _ = gate.Close() }() // every accepted letter is in its journal already

	cfg, err := chassis.LoadSettings(
		settings.Bytes("examples/quickstart/chassis.yaml", settings.YAML, settingsYAML),
		settings.Set("-data", []string{"queue.path=" + filepath.Join(dir, "queue.db")}),
		settings.Env("CHASSIS"),
	)
	if err != nil {
		return err
	}
	log, err := os.OpenFile(filepath.Join(dir, "mailer.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }() // the logger has flushed
	// A service's log goes to stdout; here stdout is for the report.
	sys, err := chassis.New("mailer", chassis.WithSettings(cfg), chassis.WithLogOutput(log))
	if err != nil {
		return err
	}
	defer sys.Guard()

	job := &mailing{sys: sys, gate: gate, plan: plan, rows: rows, breaker: sys.Breaker(gate.URL), begun: time.Now()}
	job.resumed = gate.count()
	chassis.Handle(sys, defineMail(gate.URL), job.mail)

	ctx, done := context.WithCancelCause(ctx)
	defer done(nil)
	ended := make(chan error, 1)
	go func() { ended <- sys.Run(ctx) }() // until done is called, or Ctrl-C
	dead, err := job.follow(ctx, out, ended)
	done(nil)
	if stop := <-ended; stop != nil {
		err = errors.Join(err, stop)
	}
	if err != nil {
		return err
	}
	return job.report(out, dead, dir)
}

// mailing is one run over all recipients.
type mailing struct {
	sys     *chassis.System
	gate    *gateway
	plan    *plan
	rows    []Recipient
	breaker *breaker.Breaker
	begun   time.Time
	resumed int // rows that the gateway had accepted before this process

	refused atomic.Int64 // attempts that the breaker refused
}

// mail is the task's handler: one letter, through the breaker, to the gateway.
func (m *mailing) mail(ctx context.Context, job task.Job[Recipient]) error {
	to, err := job.Args.address()
	if err != nil {
		return task.Cancel(err) // no retry can help: a dead letter now
	}
	body, err := json.Marshal(letter{Row: job.Args.Row, To: to, Name: job.Args.Name, Language: job.Args.Language})
	if err != nil {
		return task.Cancel(err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, m.gate.URL+"/v1/messages", bytes.NewReader(body))
	if err != nil {
		return task.Cancel(err)
	}
	req.Header.Set("Idempotency-Key", job.ExecID) // a task may run twice, a person must not be mailed twice
	res, err := m.breaker.Client().Do(req)
	if err != nil {
		if errors.Is(err, breaker.ErrOpen) {
			m.refused.Add(1)
		}
		return err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(res.Body, 1<<10))
	switch {
	case err != nil:
		return err
	case res.StatusCode == http.StatusUnprocessableEntity:
		return task.Cancel(fmt.Errorf("the gateway does not take it: %s", bytes.TrimSpace(answer)))
	case res.StatusCode >= http.StatusBadRequest:
		return fmt.Errorf("the gateway answered %s", res.Status)
	}
	return nil
}

// send puts a task for every row on the queue that is not there yet.
func (m *mailing) send(ctx context.Context) error {
	var tasks []chassis.Task
	var rows []int
	flush := func() error {
		if len(tasks) == 0 {
			return nil
		}
		if _, err := m.sys.SendMany(ctx, tasks); err != nil {
			return err
		}
		err := m.plan.markSent(rows)
		tasks, rows = nil, nil
		return err
	}
	for i, r := range m.rows {
		if m.plan.done[r.Row] {
			continue
		}
		rows = append(rows, r.Row)
		tasks = append(tasks, chassis.Task{Name: "mail", Args: r, Options: []task.Option{
			task.ExecID(m.plan.ExecIDs[i]), task.ForJob("autumn-2026", "autumn newsletter"),
		}})
		if len(tasks) == 100 {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	return flush()
}
