package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/admin"
	"github.com/sambatech/chassis/settings"
)

// desk is the admin API of a service.
type desk struct {
	url, token string
	client     *http.Client
}

// apiTimeout bounds one request: longer than the service itself takes to go
// through its dead letters.
const apiTimeout = 2 * time.Minute

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

Without a terminal, or with --once, it prints one picture and ends; with --json
one JSON object for each, until interrupted, or one with --once. The token, if
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
	c.Flags().StringVar(&at, "admin", "", "URL of the service's admin server (default the settings' admin.listen, or http://"+admin.DefaultListen+")")
	c.Flags().StringArrayVar(&files, "settings", nil, "settings file of the service")
	c.Flags().DurationVar(&interval, "interval", time.Second, "time between two looks")
	c.Flags().BoolVar(&once, "once", false, "one picture")
	return c
}

func (a *app) openDesk(at string, files []string) (*desk, error) {
	s, err := chassis.LoadSettings(sources(files)...)
	if err != nil {
		return nil, err
	}
	if at == "" && len(files) == 0 {
		if err := a.trustAddress(&s); err != nil {
			return nil, err
		}
	}
	if at == "" {
		listen := s.Admin.Listen
		if listen == "" || listen == admin.Off {
			listen = admin.DefaultListen
		}
		if strings.HasPrefix(listen, ":") {
			listen = "localhost" + listen // on every interface, this one too
		}
		at = "http://" + listen
		if s.Admin.TLS.CertFile != "" {
			at = "https://" + listen
		}
	}
	u, err := url.Parse(at)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, usage("--admin is %q: want a URL like http://%s", at, admin.DefaultListen)
	}
	return &desk{url: strings.TrimSuffix(at, "/"), token: s.Admin.Token.Reveal(), client: &http.Client{Timeout: apiTimeout, CheckRedirect: noRedirect}}, nil
}

// noRedirect refuses redirects: the API has none, and a token goes nowhere else.
func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// trustAddress asks before the token of the environment goes to an address that
// a file of the working directory gives: a folder that was downloaded may have
// one. Nothing is asked where address and token come from one place.
func (a *app) trustAddress(s *chassis.Settings) error {
	outside, err := chassis.LoadSettings(settings.Env("CHASSIS"))
	if err != nil || outside.Admin.Token.IsZero() || outside.Admin.Listen == s.Admin.Listen {
		return nil //nolint:nilerr // with the files the settings are right; alone the environment need not be
	}
	at := printable(s.Admin.Listen)
	question := fmt.Sprintf("The settings file of the working directory says that the service is at %s. Send the token of CHASSIS_ADMIN__TOKEN there?", at)
	if a.json || !isTerminal(a.in) {
		return &coded{exitUnconfirmed, fmt.Errorf("%s Nothing was sent: give --admin http://%s, or name the file by --settings", question, at)}
	}
	return a.confirm(false, question)
}

// get reads one answer of the API into v.
func (d *desk) get(ctx context.Context, path string, v any) error {
	return d.ask(ctx, http.MethodGet, path, nil, v)
}

// post gives a command.
func (d *desk) post(ctx context.Context, path string, body, v any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	return d.ask(ctx, http.MethodPost, path, bytes.NewReader(text), v)
}

func (d *desk) ask(ctx context.Context, method, path string, body io.Reader, v any) error {
	req, err := http.NewRequestWithContext(ctx, method, d.url+path, body)
	if err != nil {
		return err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set(admin.CommandHeader, "1")
	}
	if d.token != "" {
		req.Header.Set("Authorization", "Bearer "+d.token)
	}
	res, err := d.client.Do(req)
	if err != nil {
		if errors.Is(ctx.Err(), context.Canceled) {
			return context.Cause(ctx)
		}
		return fmt.Errorf("no service answers at %s: does it run, and is admin.listen this address? %w", d.url, err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, 64<<20))
	if err != nil {
		return fmt.Errorf("%s: %w", d.url, err)
	}
	if res.StatusCode != http.StatusOK {
		var p admin.Problem
		if json.Unmarshal(text, &p) != nil || p.Detail == "" {
			p.Detail = cut(string(text), 200)
		}
		if res.StatusCode == http.StatusUnauthorized {
			p.Detail += " (CHASSIS_ADMIN__TOKEN gives it)"
		}
		return fmt.Errorf("%s answered %s: %s", d.url, res.Status, p.Detail)
	}
	if err := json.Unmarshal(text, v); err != nil {
		return fmt.Errorf("%s is no chassis service: %w", d.url, err)
	}
	return nil
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
	_, err = fmt.Fprintln(a.out, strings.Join(picture(next, g, 200, 0, plain{}), "\n"))
	return err
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
