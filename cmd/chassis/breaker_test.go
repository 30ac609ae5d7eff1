package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/sambatech/chassis/actors/breaker"
	"github.com/sambatech/chassis/admin"
)

func TestAForcedBreakerEndsAfterFiveMinutesByDefault(t *testing.T) {
	emptyDir(t)
	sys := watched(t, nil) // /v1 of https://mail.internal is forced open until a reset
	mail := sys.Breaker("https://mail.internal")
	on := func(args ...string) []string {
		return append([]string{"breaker"}, append(args, "--admin", sys.AdminURL())...)
	}

	if out := does(t, on("ls")...); !strings.Contains(out, "https://mail.internal/v1  forced-open") || !strings.Contains(out, "by a reset") {
		t.Errorf("ls:\n%s", out)
	}
	for _, c := range []struct {
		args []string
		path string
		want breaker.State
		last time.Duration
	}{
		{on("force", "open", "https://mail.internal", "/v2"), "/v2", breaker.ForcedOpen, 5 * time.Minute},
		{on("force", "closed", "https://mail.internal", "/v2", "--for", "1h"), "/v2", breaker.ForcedClosed, time.Hour},
		{on("force", "metrics-only", "https://mail.internal", "--for", "0s"), "", breaker.MetricsOnly, 0},
	} {
		begun := time.Now()
		does(t, c.args...)
		if got := mail.StateOf(c.path); got != c.want {
			t.Errorf("%v: %v", c.args, got)
		}
		for _, e := range mail.Snapshot().Entries {
			if e.Entry != c.path {
				continue
			}
			if c.last == 0 && !e.Until.IsZero() {
				t.Errorf("%v: ends at %v", c.args, e.Until)
			}
			if c.last > 0 && (e.Until.Before(begun.Add(c.last)) || e.Until.After(time.Now().Add(c.last))) {
				t.Errorf("%v: ends %v after it began, want %v", c.args, e.Until.Sub(begun), c.last)
			}
		}
	}
	if out := does(t, on("ls", "https://mail.internal")...); !strings.Contains(out, "in 59m") {
		t.Errorf("the time left is not shown:\n%s", out)
	}
	var one admin.Breaker
	if err := json.Unmarshal(bytes.TrimSpace([]byte(does(t, on("ls", "--json")...))), &one); err != nil || one.Service != "https://mail.internal" {
		t.Errorf("ls --json: %v", err)
	}
	does(t, on("reset", "https://mail.internal")...)
	if got := mail.StateOf("/v1"); got != breaker.Closed {
		t.Errorf("after the reset: %v", got)
	}
	for line, want := range map[string]int{
		"force ajar https://mail.internal":           exitUsage,
		"force open https://mail.internal --for -1s": exitUsage,
		"force open":                          exitUsage,
		"force open https://unknown.internal": exitFailed,
		"ls https://unknown.internal":         exitNotFound,
	} {
		if r := chassisWith(t, "", on(strings.Fields(line)...)...); r.code != want {
			t.Errorf("%s: %+v", line, r)
		}
	}
}
