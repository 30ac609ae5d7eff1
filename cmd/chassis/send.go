package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sambatech/chassis/actors/poller"
	"github.com/sambatech/chassis/task"
)

// sending is the flags of send.
type sending struct {
	place
	at, jobID, jobName, execID, group, dedup, lines string
	delay                                           time.Duration
	attributes                                      map[string]string
	rate                                            float64
	opening
}

func (a *app) sendCommand() *cobra.Command {
	s := &sending{}
	c := &cobra.Command{
		Use:   "send NAME [ARGS]",
		Short: "Send a task, or one for each line of a file",
		Long: `Send the task NAME with ARGS, which is JSON; "-" reads it from stdin and
@FILE from a file; without ARGS it is {}. With --lines FILE ("-": stdin) one
task is sent for each line, which is its ARGS.

It prints the exec_id of each task, which stays with it over all its retries.
With --lines and --json it prints one object a line.

With --key-file the arguments are encrypted on this machine, and so they are
where the settings of the pool have tasks.encrypt_arguments.`,
		Example: `  chassis send welcome '{"email":"a@example.org"}' --pool mailer-tasks
  chassis send welcome --lines args.ndjson --rate 50 --job-id 7 --job-name spring`,
		Args: cobra.RangeArgs(1, 2),
		RunE: runs(func(ctx context.Context, args []string) error {
			return s.with(ctx, func(q *queues) error { return a.send(ctx, q, s, args) })
		}),
	}
	s.place.flags(c)
	s.poolFlag(c)
	f := c.Flags()
	s.opening.flags(f)
	f.StringVar(&s.at, "at", "", "when to run it: a time like 2026-12-24T18:00:00Z, or a duration from now like 90m")
	f.DurationVar(&s.delay, "delay", 0, "hide it for so long, up to 15m")
	f.StringVar(&s.jobID, "job-id", "", "the job that it belongs to")
	f.StringVar(&s.jobName, "job-name", "", "the name of that job")
	f.StringVar(&s.execID, "exec-id", "", "its exec_id (default a new UUID)")
	f.StringVar(&s.group, "group", "", "message group, required by FIFO pools")
	f.StringVar(&s.dedup, "dedup", "", "deduplication id, for FIFO pools")
	f.StringToStringVar(&s.attributes, "attr", nil, "attribute of your own, name=value; may be given again")
	f.StringVar(&s.lines, "lines", "", "file with one ARGS a line")
	f.Float64Var(&s.rate, "rate", 0, "with --lines: tasks a second, at most (default: as fast as it goes)")
	f.BoolVar(&s.create, "create", false, "create the queue, and the file of --path, if it is not there")
	return c
}

func (s *sending) options(now time.Time) ([]task.Option, error) {
	var opts []task.Option
	if s.at != "" {
		at, err := time.Parse(time.RFC3339, s.at)
		if d, derr := time.ParseDuration(s.at); derr == nil {
			at, err = now.Add(d), nil
		}
		if err != nil {
			return nil, usage("--at is %q: want a time like 2026-12-24T18:00:00Z, or a duration like 90m", s.at)
		}
		opts = append(opts, task.At(at))
	}
	if s.delay != 0 {
		opts = append(opts, task.Delay(s.delay))
	}
	if s.jobID != "" || s.jobName != "" {
		opts = append(opts, task.ForJob(s.jobID, s.jobName))
	}
	if s.execID != "" {
		opts = append(opts, task.ExecID(s.execID))
	}
	if s.group != "" {
		opts = append(opts, task.Group(s.group))
	}
	if s.dedup != "" {
		opts = append(opts, task.Dedup(s.dedup))
	}
	for _, name := range sorted(s.attributes) {
		opts = append(opts, task.Attribute(name, s.attributes[name]))
	}
	return opts, nil
}

// sentTask is what is printed of a task that the queue has.
type sentTask struct {
	Task      string `json:"task"`
	ExecID    string `json:"exec_id"`
	Pool      string `json:"pool"`
	MessageID string `json:"message_id"`
}

func (a *app) send(ctx context.Context, q *queues, s *sending, args []string) (err error) {
	pool, err := q.poolName()
	if err != nil {
		return err
	}
	if err := checkRate(s.rate, "tasks"); err != nil {
		return err
	}
	opts, err := s.options(time.Now())
	if err != nil {
		return err
	}
	sealing, done, err := s.sealing(&q.settings.Tasks)
	if err != nil {
		return err
	}
	defer done()
	opts = append(append(opts, task.Pool(pool)), sealing...)
	if !s.create { // checked before anything is sent
		if _, err := q.url(ctx, pool); err != nil {
			return fmt.Errorf("%w; --create makes it", err)
		}
	}
	sender := poller.NewSender(q.Client, poller.SenderEnsure(func(string) poller.EnsureOptions {
		return poller.EnsureOptions{Create: s.create, Retention: q.settings.Tasks.RetentionPeriod}
	}))
	defer func() { err = errors.Join(err, sender.Close(context.WithoutCancel(ctx))) }()
	if s.lines != "" {
		if len(args) > 1 || s.execID != "" || s.dedup != "" {
			return usage("--lines takes its ARGS from the file, and cannot go with ARGS, --exec-id or --dedup")
		}
		return a.sendLines(ctx, sender, s, pool, args[0], opts)
	}
	text, err := a.argument(args)
	if err != nil {
		return err
	}
	out, err := encode(ctx, args[0], text, "ARGS", opts)
	if err != nil {
		return err
	}
	id, err := sender.Send(ctx, *out)
	if err != nil {
		return fmt.Errorf("send task %q: %w", args[0], err)
	}
	if a.json {
		return a.printJSON(sentTask{args[0], out.ExecID, pool, id})
	}
	fmt.Fprintln(a.out, out.ExecID)
	return nil
}

// argument is ARGS: given, from stdin, from a file, or {}.
func (a *app) argument(args []string) ([]byte, error) {
	if len(args) < 2 {
		return []byte("{}"), nil
	}
	text := args[1]
	switch {
	case text == "-":
		return io.ReadAll(io.LimitReader(a.in, task.MaxSize+1))
	case strings.HasPrefix(text, "@"):
		f, err := a.lines(text[1:])
		if err != nil {
			return nil, err
		}
		defer f.Close()                                      //nolint:errcheck // it is only read
		return io.ReadAll(io.LimitReader(f, task.MaxSize+1)) // a longer one is refused for its size
	}
	return []byte(text), nil
}

func encode(ctx context.Context, name string, args []byte, where string, opts []task.Option) (*task.Outgoing, error) {
	var value any
	if err := json.Unmarshal(args, &value); err != nil {
		place := ""
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) {
			place = fmt.Sprintf(" (at byte %d)", syntax.Offset)
		}
		return nil, usage("%s is no JSON%s: %v: %s", where, place, err, cut(string(args), 80))
	}
	out, err := task.EncodeContext(ctx, name, json.RawMessage(args), time.Now(), opts...)
	if err != nil {
		return nil, &coded{exitUsage, err}
	}
	return out, nil
}

// sendBatch is how many lines are given to the sender at once, which sends ten
// a request.
const sendBatch = 100

func (a *app) sendLines(ctx context.Context, sender *poller.Sender, s *sending, pool, name string,
	opts []task.Option) error {
	in, err := a.lines(s.lines)
	if err != nil {
		return err
	}
	defer in.Close()
	batch := sendBatch
	if s.rate > 0 {
		batch = max(1, min(sendBatch, int(s.rate/10)))
	}
	bucket := limiter(s.rate, batch)
	bar := a.progress(0, "sending")
	defer bar.end()

	sent, line := 0, 0
	var outs []poller.Outgoing
	var ids []string
	flush := func() error {
		if len(outs) == 0 {
			return nil
		}
		if err := bucket.WaitN(ctx, len(outs)); err != nil {
			return context.Cause(ctx)
		}
		results, err := sender.SendMany(ctx, outs)
		for i, r := range results {
			if r.Err != nil {
				continue
			}
			sent++
			if a.json {
				err = errors.Join(err, a.printLine(sentTask{name, ids[i], pool, r.MessageID}))
			} else {
				fmt.Fprintln(a.out, ids[i])
			}
		}
		bar.add(len(outs))
		outs, ids = outs[:0], ids[:0]
		return err
	}
	lines := bufio.NewScanner(in)
	lines.Buffer(make([]byte, 64<<10), task.MaxSize+1)
	for err == nil && lines.Scan() {
		line++
		text := bytes.TrimSpace(lines.Bytes())
		if len(text) == 0 {
			continue
		}
		var out *task.Outgoing
		if out, err = encode(ctx, name, text, fmt.Sprintf("line %d of %s", line, s.lines), opts); err != nil {
			break
		}
		outs, ids = append(outs, *out), append(ids, out.ExecID)
		if len(outs) == batch {
			err = flush()
		}
	}
	if err == nil {
		if err = lines.Err(); errors.Is(err, bufio.ErrTooLong) {
			err = usage("line %d of %s is longer than %d bytes, the most that SQS takes", line+1, s.lines,
				task.MaxSize)
		}
	}
	if err == nil {
		err = flush()
	}
	if err != nil {
		return fmt.Errorf("%w (%d tasks were sent before that)", err, sent)
	}
	return nil
}

func (a *app) lines(path string) (io.ReadCloser, error) {
	if path == "-" {
		return io.NopCloser(a.in), nil
	}
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, notFound("there is no file %s", path)
	}
	return f, err
}
