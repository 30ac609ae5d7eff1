package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/sambatech/chassis/admin"
)

// lookTimeout bounds one look of top.
const lookTimeout = 5 * time.Second

// glance is what top shows of a service at one time.
type glance struct {
	admin.State
	Executions admin.ExecutionPage `json:"executions"`
}

func (a *app) topCommand() *cobra.Command {
	var at string
	var files []string
	var interval time.Duration
	var once bool
	c := &cobra.Command{
		Use:   "top",
		Short: "Watch a running service: its queues, tasks, executions and breakers",
		Long: `Watch a running service by its admin API: queues, workers, tasks, what runs now,
and breakers. Keys: q ends it, space stops and starts the picture.

Without a terminal, or with --once, it prints one picture and ends. Its lines are
cut at the width of the terminal, or without one at COLUMNS or 160 characters.
With --json it prints one JSON object for each picture, until interrupted, or one with --once. The token, if
the service wants one, is the setting admin.token: of a settings file or of the
variable CHASSIS_ADMIN__TOKEN.`,
		Args: cobra.NoArgs,
		RunE: runs(func(ctx context.Context, _ []string) error {
			if interval < 100*time.Millisecond {
				return usage("--interval is %v: want 100ms or more", interval)
			}
			d, err := a.openDesk(at, files)
			if err != nil {
				return err
			}
			return a.top(ctx, d, interval, once)
		}),
	}
	c.Flags().StringVar(&at, "admin", "",
		"URL of the service's admin server (default the settings' admin.listen, or http://"+admin.DefaultListen+")")
	c.Flags().StringArrayVar(&files, "settings", nil, "settings file of the service")
	c.Flags().DurationVar(&interval, "interval", time.Second, "time between two looks")
	c.Flags().BoolVar(&once, "once", false, "one picture")
	return c
}

func (d *desk) look(ctx context.Context) (*glance, error) {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	g := &glance{}
	if err := d.get(ctx, "/api/v1/state", &g.State); err != nil {
		return nil, err
	}
	if g.Workers == nil {
		return g, nil
	}
	return g, d.get(ctx, "/api/v1/executions?limit=100", &g.Executions)
}

func (a *app) top(ctx context.Context, d *desk, interval time.Duration, once bool) error {
	defer d.client.CloseIdleConnections()
	g, err := d.look(ctx)
	if err != nil {
		return err
	}
	screen, ok := raw(a.out).(*os.File)
	live := ok && isTerminal(a.in) && isTerminal(a.out) && !once && !a.json
	switch {
	case live:
		return a.watch(ctx, d, screen, interval, g)
	case a.json:
		for err == nil && !once {
			if err = a.printLine(g); err == nil {
				g, err = d.next(ctx, interval)
			}
		}
		if once {
			return a.printJSON(g)
		}
		return err
	}
	next, err := d.next(ctx, interval) // rates need two looks
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(a.out, strings.Join(picture(next, g, a.width(), 0, plain{}), "\n"))
	return err
}

// pipeWidth is the width of a picture that goes to no terminal: what a log or a mail
// shows, and wide enough for all columns with a short progress.
const pipeWidth = 160

// width is how wide a single picture is: as the terminal that it goes to, else as the
// variable COLUMNS says, which watch and cron set, else [pipeWidth].
func (a *app) width() int {
	if f, ok := raw(a.out).(*os.File); ok {
		if width, _, err := term.GetSize(int(f.Fd())); err == nil && width > 0 {
			return width
		}
	}
	if n, err := strconv.Atoi(os.Getenv("COLUMNS")); err == nil && n > 0 {
		return n
	}
	return pipeWidth
}

func (d *desk) next(ctx context.Context, interval time.Duration) (*glance, error) {
	timer := time.NewTimer(interval)
	defer timer.Stop()
	select {
	case <-timer.C:
		return d.look(ctx)
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// Sequences of a terminal: the other screen without a cursor, and back; the top
// left; clear to the line's end, and to the screen's.
const (
	enterScreen = "\x1b[?1049h\x1b[?25l"
	leaveScreen = "\x1b[?25h\x1b[?1049l"
	home        = "\x1b[H"
	clearLine   = "\x1b[K"
	clearRest   = "\x1b[J"
)

// watch draws until a key, an interrupt, or the end of the terminal.
func (a *app) watch(ctx context.Context, d *desk, screen *os.File, interval time.Duration, g *glance) error {
	in := a.in.(*os.File)
	before, err := term.MakeRaw(int(in.Fd()))
	if err != nil {
		return err
	}
	fmt.Fprint(screen, enterScreen)
	defer func() {
		fmt.Fprint(screen, leaveScreen)
		_ = term.Restore(int(in.Fd()), before) // nothing can be done about a terminal that has gone
	}()
	keys := make(chan byte)
	go func() { // ends with the process: a read of a terminal cannot be ended
		defer close(keys)
		for b := make([]byte, 1); ; {
			if n, err := in.Read(b); err != nil || n == 0 {
				return
			}
			select {
			case keys <- b[0]:
			case <-ctx.Done():
				return
			}
		}
	}()

	var last *glance
	var trouble error
	stopped := false
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		width, height, err := term.GetSize(int(screen.Fd()))
		if err != nil {
			return err
		}
		if width < 1 || height < 2 { // a serial line, or a terminal of a container, does not report it
			width, height = 80, 24
		}
		lines := picture(g, last, width, height-1, colours{})
		status := "q ends, space stops the picture"
		switch {
		case trouble != nil:
			status = trouble.Error()
		case stopped:
			status = "stopped; space goes on"
		}
		lines = append(lines, cut(printable(status), width))
		fmt.Fprint(screen, home+strings.Join(lines, clearLine+"\r\n")+clearLine+clearRest)
		select {
		case <-ctx.Done():
			return nil // as q
		case key, ok := <-keys:
			switch {
			case !ok, key == 'q', key == 'Q', key == 3: // 3 is Ctrl-C, which a raw terminal hands on
				return nil
			case key == ' ':
				stopped = !stopped
			}
		case <-ticker.C:
			if stopped {
				continue
			}
			next, err := d.look(ctx)
			if trouble = err; err == nil {
				last, g = g, next
			} else if errors.Is(err, context.Canceled) {
				return nil
			}
		}
	}
}
