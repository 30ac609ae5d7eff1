package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/sambatech/chassis/settings"
	"github.com/sambatech/chassis/settings/watch"
)

// What goes on next to the tasks.

// call calls the remotes directly, and a function behind a breaker that is
// always well.
func (s *soak) call(ctx context.Context) error {
	n := 0
	for every(ctx, 50*time.Millisecond) {
		n++
		_ = s.get(ctx, s.remotes[n%len(s.remotes)], "/v2/reports/"+strconv.Itoa(n%100)) // failures are what the breaker is for
		for range 20 {
			if err := s.healthy.Do(ctx, "/v1/of/many/"+strconv.Itoa(n), func(context.Context) error { return nil }); err != nil {
				s.ledger.Fault("a call behind a healthy breaker: %v", err)
			}
		}
	}
	return nil
}

// bury looks through the dead letters: some are sent back, the rest deleted.
func (s *soak) bury(ctx context.Context) error {
	for d, err := range s.sys.DeadLetters(ctx) {
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		var a args
		if err := json.Unmarshal([]byte(d.Body), &a); err != nil {
			number, _ := strings.CutPrefix(d.Body, "garbage ")
			if a.ID, err = strconv.Atoi(number); err != nil {
				s.ledger.Fault("dead letter %s has the body %q", d.MessageID, d.Body)
			}
		}
		if d.Reason == "" {
			s.ledger.Fault("dead letter %s of task %d has no reason", d.MessageID, a.ID)
		}
		settle := d.Delete
		if s.ledger.bury(a.ID) {
			settle = d.SendBack
		}
		if err := settle(context.WithoutCancel(ctx)); err != nil {
			return err
		}
	}
	return nil
}

// config is what the service reads from its own file, again and again.
type config struct {
	Level       string        `rule:"oneof=debug|info" live:"true" doc:"level of the service's log, default info"`
	OpenTimeout time.Duration `rule:"min=100ms" live:"true" doc:"open time of its breakers, default 1s"`
	Turn        int           `live:"true" doc:"number of the change, default 0"`
}

// reload changes the settings' file, now and then to one that is wrong, and
// holds against it what the watcher makes of it.
func (s *soak) reload(ctx context.Context, every10 time.Duration) error {
	path := filepath.Join(s.dir, "soak.yaml")
	write := func(text string) error {
		if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
			return err
		}
		return os.Rename(path+".new", path)
	}
	if err := write("turn: 0\n"); err != nil {
		return err
	}
	updates := make(chan watch.Update[config], 16)
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	w, err := watch.Start(life, config{Level: "info", OpenTimeout: time.Second}, func(u watch.Update[config]) { updates <- u }, settings.File(path))
	if err != nil {
		end()
		return err
	}
	defer w.Wait()
	defer end()
	for turn := 1; every(ctx, every10); turn++ {
		text, wrong := fmt.Sprintf("turn: %d\nlevel: %s\nopen_timeout: %dms\n", turn, []string{"info", "debug"}[turn%2], 800+turn%5*100), turn%3 == 0
		if wrong {
			text += "levle: info\n"
		}
		before := w.Current().Turn
		if err := write(text); err != nil {
			return err
		}
		var u watch.Update[config]
		select {
		case u = <-updates:
		case <-time.After(30 * time.Second):
			s.ledger.Fault("settings: change %d was not seen in 30 s", turn)
			continue
		}
		s.reloads.Add(1)
		if want := map[bool]int{true: before, false: turn}[wrong]; (u.Err != nil) != wrong || w.Current().Turn != want {
			s.ledger.Fault("settings: change %d (wrong: %v) led to turn %d, error %v", turn, wrong, w.Current().Turn, u.Err)
		}
		s.apply(w.Current())
	}
	return nil
}

func (s *soak) apply(c *config) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.Level)); err != nil {
		s.ledger.Fault("settings: level %q: %v", c.Level, err)
	}
	s.sys.Log().SetLevel("soak", level)
	for _, r := range s.remotes {
		limits := r.breaker.Settings()
		limits.OpenTimeout = c.OpenTimeout
		if err := r.breaker.SetSettings(limits); err != nil {
			s.ledger.Fault("settings of %s: %v", r.url, err)
		}
	}
}

// scrape asks the admin server as a monitor, a probe and a browser do.
func (s *soak) scrape(ctx context.Context) error {
	client := &http.Client{Transport: &http.Transport{}, Timeout: 10 * time.Second}
	defer client.CloseIdleConnections()
	for every(ctx, 5*time.Second) {
		for _, path := range []string{"livez", "readyz", "metrics", "api/v1/state", ""} {
			if err := fetch(client, s.sys.AdminURL()+path, 0); err != nil {
				s.ledger.Fault("admin: %v", err)
			}
		}
		if err := fetch(client, s.sys.AdminURL()+"api/v1/stream", 2*time.Second); err != nil {
			s.ledger.Fault("admin: %v", err)
		}
		s.scrapes.Add(1)
	}
	return nil
}

// fetch reads an answer to its end; one that has none, for so long.
func fetch(client *http.Client, url string, endless time.Duration) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if endless > 0 {
		defer time.AfterFunc(endless, cancel).Stop()
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	n, err := io.Copy(io.Discard, res.Body)
	if err != nil && ctx.Err() == nil {
		return fmt.Errorf("%s: %w", url, err)
	}
	if res.StatusCode != http.StatusOK || n == 0 {
		return fmt.Errorf("%s: %s, %d bytes", url, res.Status, n)
	}
	return nil
}

// read is the reader of the log's pipe: a line a record, each valid JSON. It
// is slow now and then.
func (s *soak) read(pipe io.Reader) {
	lines := bufio.NewScanner(pipe)
	lines.Buffer(nil, 1<<20)
	rested := time.Now()
	for lines.Scan() {
		s.lines.Add(1)
		if !json.Valid(lines.Bytes()) {
			s.ledger.Fault("log: %q is no JSON", lines.Text())
		}
		if time.Since(rested) > 20*time.Second {
			time.Sleep(200 * time.Millisecond)
			rested = time.Now()
		}
	}
	if err := lines.Err(); err != nil {
		s.ledger.Fault("log: %v", err)
	}
}

// every waits d and says whether ctx goes on.
func every(ctx context.Context, d time.Duration) bool { return pause(ctx, d) == nil }
