package cron

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Settings is one schedule in a settings file. What is left out is as in the code, or
// the default for a schedule that the code does not have.
type Settings struct {
	Every   string        `key:"every" doc:"five fields of crontab, @daily, or @every 15m; required for a schedule that the code does not have"`
	Zone    string        `key:"zone" doc:"name of the IANA data base, default UTC"`
	Task    string        `key:"task" doc:"name of the task; required for a schedule that the code does not have"`
	Args    string        `key:"args" doc:"arguments of the task as JSON, default {}"`
	Jitter  time.Duration `key:"jitter" rule:"min=0" doc:"each tick is due up to this later, the same in all processes; default 0s"`
	Late    string        `key:"late" doc:"of what was missed, never, once or all(N) is sent; default never"`
	Overlap string        `key:"overlap" rule:"optional,oneof=skip|queue|allow" doc:"of a tick that comes during a run: skip, queue or allow; default skip"`
	Paused  bool          `key:"paused" doc:"nothing is sent"`
}

// Table is the section schedules, by name.
type Table map[string]Settings

// Validate returns everything that is wrong with the section by itself.
func (t Table) Validate() error {
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(t)) {
		s := t[name]
		opts, err := s.Options()
		expr := s.Every
		if expr == "" {
			expr = "@yearly" // by the code: see that the rest is right
			opts = append(opts, Jitter(0))
		}
		if err == nil {
			_, err = New(name, expr, opts...)
		}
		if s.Args != "" && !json.Valid([]byte(s.Args)) {
			err = errors.Join(err, fmt.Errorf("args are %.80q: that is not JSON", s.Args))
		}
		if (s.Every == "") != (s.Task == "") && s.Task != "" {
			err = errors.Join(err, errors.New("task is set, but every is not: say when it runs"))
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("schedules.%s: %w", name, err))
		}
	}
	return errors.Join(errs...)
}

// Options returns what is set, to stand behind the options of the code.
func (s Settings) Options() (opts []Option, err error) {
	if s.Zone != "" {
		opts = append(opts, Zone(s.Zone))
	}
	if s.Jitter != 0 {
		opts = append(opts, Jitter(s.Jitter))
	}
	if s.Overlap != "" {
		opts = append(opts, Overlap(OverlapPolicy(s.Overlap)))
	}
	if s.Paused {
		opts = append(opts, Paused())
	}
	if s.Late != "" {
		p, err := ParseLate(s.Late)
		if err != nil {
			return nil, err
		}
		opts = append(opts, Late(p))
	}
	return opts, nil
}

// ParseLate reads never, once or all(N).
func ParseLate(text string) (LatePolicy, error) {
	switch text {
	case Never.text:
		return Never, nil
	case Once.text:
		return Once, nil
	}
	if n, ok := strings.CutPrefix(text, "all("); ok {
		if n, ok = strings.CutSuffix(n, ")"); ok {
			if most, err := strconv.Atoi(n); err == nil {
				return All(most), nil
			}
		}
	}
	return Never, fmt.Errorf("late is %.40q: it is never, once, or all(N) with a number", text)
}
