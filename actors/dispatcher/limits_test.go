package dispatcher

import (
	"strings"
	"testing"
	"time"
)

func TestLimitsSayWhatToDo(t *testing.T) {
	limits := func(running int, rate Rate) Limits { return Limits{TenantLimits{running, rate}} }
	for _, c := range []struct {
		pool string
		l    Limits
		want string // empty: fine
	}{
		{"mails", limits(0, Rate{}), ""},
		{"mails.fifo", limits(0, Rate{}), ""},
		{"mails.fifo", limits(3, Rate{}), ""},
		{"mails.fifo", limits(3, Rate{10, time.Second}), ""},
		{"mails.fifo", limits(3, Rate{1, time.Minute}), ""},
		{"mails", limits(3, Rate{}), "tasks.limits.tenant.running is 3, and the pool \"mails\" is a standard queue"},
		{"mails", limits(3, Rate{}), "name a FIFO pool, as in mails.fifo"},
		{"mails.fifo", limits(-1, Rate{}), "running is -1"},
		{"mails.fifo", limits(1001, Rate{}), "0 (one at a time, in order) to 1000"},
		{"mails.fifo", limits(0, Rate{10, time.Second}), "10/s without running"},
		{"mails.fifo", limits(30, Rate{1, time.Minute}), "lower running"},
		{"mails.fifo", limits(3, Rate{10, time.Millisecond}), "must be as in 10/s"},
		{"mails.fifo", limits(3, Rate{-10, time.Second}), "must be as in 10/s"},
	} {
		err := c.l.Check("tasks", c.pool)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s %+v: error %v, want %q", c.pool, c.l, err, c.want)
		}
	}
}

func TestRatesAsText(t *testing.T) {
	for text, want := range map[string]Rate{
		"": {}, "10/s": {10, time.Second}, "30/m": {30, time.Minute}, "100/10s": {100, 10 * time.Second}, "5/1h": {5, time.Hour},
	} {
		var r Rate
		if err := r.UnmarshalText([]byte(text)); err != nil || r != want {
			t.Errorf("%q: %v, %v", text, r, err)
		}
		again, err := r.MarshalText()
		var back Rate
		if err != nil || back.UnmarshalText(again) != nil || back != want {
			t.Errorf("%q is written as %q", text, again)
		}
	}
	for _, text := range []string{"10", "/s", "0/s", "-1/s", "1.5/s", "10/", "10/ms", "10/x", "10/10ms", "10/48h", "10/s/s", " 10/s"} {
		r := Rate{1, time.Second}
		if err := r.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q is read as %v", text, r)
		}
	}
}
