package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sambatech/chassis/actors/dispatcher"
	"github.com/sambatech/chassis/admin"
	"github.com/sambatech/chassis/internal/clip"
	"github.com/sambatech/chassis/task"
)

// paint colours a piece of text.
type paint interface {
	good(string) string
	warn(string) string
	bad(string) string
	head(string) string
}

type plain struct{}

func (plain) good(s string) string { return s }
func (plain) warn(s string) string { return s }
func (plain) bad(s string) string  { return s }
func (plain) head(s string) string { return s }

type colours struct{}

func (colours) good(s string) string { return "\x1b[32m" + s + "\x1b[0m" }
func (colours) warn(s string) string { return "\x1b[33m" + s + "\x1b[0m" }
func (colours) bad(s string) string  { return "\x1b[1;31m" + s + "\x1b[0m" }
func (colours) head(s string) string { return "\x1b[1m" + s + "\x1b[0m" }

// printable makes text of others harmless on a terminal: what controls one is
// shown as a replacement character.
func printable(s string) string { return clip.Block(s) }

// canvas is lines of a certain width.
type canvas struct {
	lines []string
	width int
	paint paint
}

// piece is text in a colour, nil for none.
type piece struct {
	text  string
	paint func(string) string
}

// line adds the pieces, cut at the width. What is cut ends in "…".
func (c *canvas) line(pieces ...piece) {
	left, whole := c.width, 0
	texts := make([][]rune, len(pieces))
	for i, p := range pieces {
		texts[i] = []rune(strings.NewReplacer("\n", " ", "\t", " ").Replace(printable(p.text)))
		whole += len(texts[i])
	}
	var b strings.Builder
	for i, p := range pieces {
		text := texts[i][:min(len(texts[i]), left)]
		if left -= len(text); left == 0 && whole > c.width && len(text) > 0 {
			text[len(text)-1], whole = '…', 0
		}
		if p.paint != nil && len(text) > 0 {
			b.WriteString(p.paint(string(text)))
		} else {
			b.WriteString(string(text))
		}
	}
	c.lines = append(c.lines, strings.TrimRight(b.String(), " "))
}

func (c *canvas) text(format string, args ...any) { c.line(piece{fmt.Sprintf(format, args...), nil}) }
func (c *canvas) head(format string, args ...any) {
	c.lines = append(c.lines, "")
	c.line(piece{fmt.Sprintf(format, args...), c.paint.head})
}

// state is a word in the colour of what it says.
func (c *canvas) state(word string, width int) piece {
	colour := c.paint.warn
	switch word {
	case "running", "OK", "closed", "RUNNING", "forced-closed":
		colour = c.paint.good
	case "open", "forced-open", "ERROR", "stopped", "STOPPED":
		colour = c.paint.bad
	}
	return piece{fmt.Sprintf("%-*s", width, word), colour}
}

// picture is what top shows: g, and rates since before, if there is a before.
// height 0 is as many lines as it takes.
func picture(g, before *glance, width, height int, p paint) []string {
	c := &canvas{width: max(width, 20), paint: p}
	s := &g.State
	c.line(piece{s.Service.Name + "  ", p.head}, c.state(s.Service.State, 0),
		piece{fmt.Sprintf("  up %s  %s  %s pid %d  %s",
			ago(s.Uptime), s.Service.Version, s.Service.Host, s.Service.PID, s.At.Local().Format("15:04:05")), nil})
	c.line(piece{"queues ", nil}, c.state(string(s.Ready.TaskQueues), 0), piece{"  consumer ", nil},
		c.state(string(s.Ready.TaskConsumer), 0), piece{"  " + s.Service.Queue, nil})
	for _, why := range s.Ready.Reasons {
		c.line(piece{"  " + why, p.bad})
	}
	c.queues(s.Queues)
	if s.Workers != nil {
		c.workers(s, before)
		c.tasks(s, before)
	}
	c.breakers(s)
	c.executions(g, height)
	if height > 0 && len(c.lines) > height {
		more := len(c.lines) - height + 1
		c.lines = append(c.lines[:height-1], fmt.Sprintf("… %d more lines", more))
	}
	return c.lines
}

func (c *canvas) queues(list []admin.Queue) {
	if len(list) == 0 {
		return
	}
	c.head("%-32s %9s %9s %9s %9s", "QUEUE", "VISIBLE", "IN FLIGHT", "DELAYED", "OLDEST")
	for _, q := range list {
		switch {
		case q.Error != "":
			c.line(piece{fmt.Sprintf("%-32s ", cut(q.Name, 32)), nil}, piece{q.Error, c.paint.bad})
		case q.Missing:
			c.text("%-32s not made yet", cut(q.Name, 32))
		default:
			oldest := "-"
			if q.OldestAge != nil {
				oldest = ago(*q.OldestAge)
			}
			c.text("%-32s %9d %9d %9d %9s", cut(q.Name, 32), q.Visible, q.InFlight, q.Delayed, oldest)
		}
	}
}

// perSecond is the rate between two looks.
func perSecond(now, then uint64, seconds float64) string {
	if seconds <= 0 || now < then {
		return "-"
	}
	return fmt.Sprintf("%.1f", float64(now-then)/seconds)
}

func (c *canvas) workers(s *admin.State, before *glance) {
	w := s.Workers
	c.lines = append(c.lines, "")
	received := "-"
	if before != nil && before.Workers != nil {
		received = perSecond(uint64(w.Poller.Received), uint64(before.Workers.Poller.Received),
			s.At.Sub(before.At).Seconds())
	}
	status := w.Status.String()
	if w.Paused {
		status = "PAUSED"
	}
	if len(w.PausedBy) > 0 {
		status += " by " + strings.Join(w.PausedBy, ", ")
	}
	c.line(piece{"WORKERS ", c.paint.head}, c.state(status, 0),
		piece{fmt.Sprintf("  %s %d/%d running  %d waiting  %d queued  %s received/s",
			bar(w.Running, w.Workers), w.Running, w.Workers, w.Held, w.Queued, received), nil})
	if w.Abandoned+w.Stalled+w.LostLeases+w.SettleFailed+w.Restarts+w.Poller.Throttles > 0 {
		c.line(piece{fmt.Sprintf("  %d abandoned  %d stalled  %d leases lost  %d not settled  %d restarts  %d "+
			"throttled",
			w.Abandoned, w.Stalled, w.LostLeases, w.SettleFailed, w.Restarts, w.Poller.Throttles), c.paint.warn})
	}
	for _, r := range w.Poller.Refused {
		c.line(piece{fmt.Sprintf("  %s on %s is refused for %s: %s", r.Action, r.Queue,
			ago(s.At.Sub(r.Since).Seconds()), r.Error), c.paint.warn})
	}
	if w.Poller.LastError != "" {
		c.line(piece{fmt.Sprintf("  %s ago: %s", ago(s.At.Sub(w.Poller.LastFailure).Seconds()), w.Poller.LastError),
			c.paint.warn})
	}
}

// bar is ten cells, full in the proportion of n to most.
func bar(n, most int64) string {
	full := int64(0)
	if most > 0 {
		full = min(max(n*10/most, 0), 10)
	}
	if n > 0 && full == 0 {
		full = 1
	}
	return strings.Repeat("█", int(full)) + strings.Repeat("░", int(10-full))
}

func (c *canvas) tasks(s *admin.State, before *glance) {
	if len(s.Tasks) == 0 {
		return
	}
	then := map[string]dispatcher.TaskStats{}
	seconds := 0.0
	if before != nil {
		seconds = s.At.Sub(before.At).Seconds()
		for _, t := range before.Tasks {
			then[t.Name] = t
		}
	}
	c.head("%-24s %7s %8s %8s %9s %8s %8s %8s %8s", "TASK", "RUNNING", "DONE/s", "FAILED/s", "DONE", "FAILED",
		"GIVEN UP", "P50", "P99")
	for _, t := range s.Tasks {
		name := t.Name
		if t.Paused {
			name += " (paused)"
		}
		was := then[t.Name]
		var colour func(string) string
		if t.GivenUp > was.GivenUp && before != nil {
			colour = c.paint.bad
		}
		c.line(piece{fmt.Sprintf("%-24s %7d %8s %8s %9d %8d %8d %8s %8s", cut(name, 24), t.Running,
			perSecond(t.Succeeded, was.Succeeded, seconds), perSecond(t.Failed, was.Failed, seconds),
			t.Succeeded, t.Failed, t.GivenUp, short(t.Run.P50), short(t.Run.P99)), colour})
	}
}

func (c *canvas) breakers(s *admin.State) {
	if len(s.Breakers) == 0 {
		return
	}
	c.head("%-44s %-13s %8s %8s  %s", "BREAKER", "STATE", "FAILURES", "PROBES", "UNTIL")
	for _, b := range s.Breakers {
		for _, e := range b.Entries {
			name := cut(b.Service, 44)
			if e.Entry != "" {
				name = "  " + cut(e.Entry, 42)
			}
			until := ""
			if left := e.Until.Sub(s.At); !e.Until.IsZero() {
				until = "in " + ago(max(left, 0).Seconds())
			}
			c.line(piece{fmt.Sprintf("%-44s ", name), nil}, c.state(e.State.String(), 13),
				piece{fmt.Sprintf(" %8d %8d  %s", e.Failures, e.Probes, until), nil})
		}
		if b.More > 0 {
			c.text("  … %d more paths", b.More)
		}
	}
}

// executions fill what is left of the height.
func (c *canvas) executions(g *glance, height int) {
	list := slices.Clone(g.Executions.List)
	if len(list) == 0 {
		return
	}
	c.head("%-20s %-8s %7s %7s %7s  %-36s %-14s %s", "EXECUTION", "PHASE", "ATTEMPT", "FOR", "LEFT", "EXEC ID", "JOB",
		"PROGRESS")
	room := len(list)
	if height > 0 {
		room = min(room, max(height-len(c.lines)-1, 0))
	}
	for _, e := range list[:room] {
		left := "-"
		if !e.Until.IsZero() {
			left = ago(max(e.Until.Sub(g.At), 0).Seconds())
		}
		progress := e.Error
		if p := e.Progress; p != nil {
			progress = fmt.Sprintf("%d", p.Done)
			if p.Total > 0 {
				progress += fmt.Sprintf("/%d", p.Total)
			}
			progress += " " + p.Note
		}
		c.text("%-20s %-8s %7d %7s %7s  %-36s %-14s %s", cut(e.Task, 20), e.Phase, e.Attempt,
			ago(max(g.At.Sub(e.Since), 0).Seconds()), left, cut(e.ExecID, 36), cut(job(e.JobID, e.JobName), 14),
			progress)
	}
	if more := g.Executions.Total - room; more > 0 {
		c.text("… %d more", more)
	}
}

// job is the id and the name of a job, as far as they are known.
func job(id, name string) string {
	known := slices.DeleteFunc([]string{id, name}, func(s string) bool { return s == "" || s == task.Unknown })
	return cmp.Or(strings.Join(known, " "), "-")
}

// ago is seconds in at most two units.
func ago(seconds float64) string {
	d := time.Duration(seconds * float64(time.Second))
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm%ds", int(d.Minutes()), int(d.Seconds())%60)
	case d < 24*time.Hour:
		return fmt.Sprintf("%dh%dm", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%dd%dh", int(d.Hours())/24, int(d.Hours())%24)
}

// short is a duration in the unit that fits.
func short(d time.Duration) string {
	switch {
	case d == 0:
		return "-"
	case d < time.Millisecond:
		return d.Round(time.Microsecond).String()
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	}
	return d.Round(10 * time.Millisecond).String()
}
