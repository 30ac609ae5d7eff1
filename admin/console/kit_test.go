package console_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"go.uber.org/goleak"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/admin"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type greeting struct {
	To string `json:"to"`
}

// forTests lets no goroutine of a throttle outlive a test.
var forTests = chassis.WithActorConfig(actor.WithDeadLetterThrottleInterval(time.Millisecond))

// newSystem makes a system on an embedded queue in memory, with its log in a
// buffer, that is stopped at the end of the test.
func newSystem(t *testing.T, change func(*chassis.Settings)) (*chassis.System, *bytes.Buffer) {
	t.Helper()
	s := chassis.DefaultSettings()
	if change != nil {
		change(&s)
	}
	log := &bytes.Buffer{}
	sys, err := chassis.New("mailer", chassis.WithSettings(s), chassis.WithLogOutput(log), chassis.WithoutDefaultLogger(), forTests)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := sys.Stop(context.Background()); err != nil {
			t.Errorf("stop: %v", err)
		}
		if t.Failed() || testing.Verbose() {
			t.Logf("the log:\n%s", log)
		}
	})
	return sys, log
}

// desk talks to a running system's admin server as a person's tools would.
type desk struct {
	t    *testing.T
	sys  *chassis.System
	http *http.Client
}

// open makes a system that serves on a free port, starts it and returns both.
func open(t *testing.T, prepare func(*chassis.System)) (*chassis.System, *desk) {
	t.Helper()
	sys, _ := newSystem(t, func(s *chassis.Settings) { s.Admin.Listen = "127.0.0.1:0" })
	prepare(sys)
	if err := sys.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return sys, &desk{t, sys, &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}}
}

func (d *desk) do(method, path, body string) (int, string) {
	d.t.Helper()
	r, err := http.NewRequestWithContext(d.t.Context(), method, d.sys.AdminURL()+path, strings.NewReader(body))
	if err != nil {
		d.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set(admin.CommandHeader, "1")
	res, err := d.http.Do(r)
	if err != nil {
		d.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		d.t.Fatal(err)
	}
	return res.StatusCode, string(b)
}

// get and post decode an answer that must be 200.
func ask[T any](d *desk, method, path, body string) T {
	d.t.Helper()
	code, text := d.do(method, path, body)
	var v T
	if code != 200 {
		d.t.Fatalf("%s %s: %d %s", method, path, code, text)
	}
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		d.t.Fatalf("%s %s: %v in %s", method, path, err, text)
	}
	return v
}

// wait returns once an event of that kind has come.
func wait(t *testing.T, sys *chassis.System, trigger func(), kind string) {
	t.Helper()
	events := sys.Tasks().Events(1000)
	defer events.Close()
	trigger()
	for {
		select {
		case e := <-events.C:
			if string(e.Kind) == kind {
				return
			}
		case <-t.Context().Done():
			t.Fatalf("no event %q", kind)
		}
	}
}
