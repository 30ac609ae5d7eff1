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
	"strings"
	"time"

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
	return &desk{url: strings.TrimSuffix(at, "/"), token: s.Admin.Token.Reveal(),
		client: &http.Client{Timeout: apiTimeout, CheckRedirect: noRedirect}}, nil
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
	question := fmt.Sprintf("The settings file of the working directory says that the service is at %s. Send the "+
		"token of CHASSIS_ADMIN__TOKEN there?", at)
	if a.json || !isTerminal(a.in) {
		return &coded{exitUnconfirmed, fmt.Errorf("%s Nothing was sent: give --admin http://%s, or name the file by "+
			"--settings", question, at)}
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
