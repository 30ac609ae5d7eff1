package main

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/actors/breaker"
	"github.com/sambatech/chassis/admin"
	"github.com/sambatech/chassis/parts"
	"github.com/sambatech/chassis/settings"
	"github.com/sambatech/chassis/task"
)

// fellows is a part that knows members, as package fleet is: the command does not import that.
type fellows struct {
	parts.Part
	list func() []admin.FleetMember
}

func (f fellows) FleetMembers(context.Context) ([]admin.FleetMember, error) { return f.list(), nil }

var slow = task.Define[mail]("slow")

// crewed are two processes of a service that know each other, and a member that is dead.
func crewed(t *testing.T, token string) (systems [2]*chassis.System) {
	t.Helper()
	for i := range systems {
		s := chassis.DefaultSettings()
		s.Admin.Listen, s.Admin.Token = "127.0.0.1:0", settings.NewSecret(token)
		sys, err := chassis.New("mailer", chassis.WithSettings(s), chassis.WithoutDefaultLogger(), chassis.WithLogOutput(&strings.Builder{}))
		if err != nil {
			t.Fatal(err)
		}
		chassis.Handle(sys, slow, func(ctx context.Context, _ task.Job[mail]) error {
			<-ctx.Done()
			return ctx.Err()
		})
		sys.Breaker("https://mail.internal")
		systems[i] = sys
	}
	for i, sys := range systems {
		list := func() []admin.FleetMember {
			age := 1.5
			all := []admin.FleetMember{
				{Name: "mailer-a", Addr: "127.0.0.1:7946", Admin: systems[0].AdminURL(), Version: "v1", State: "running", Age: &age, Rates: map[string]float64{"mail": 20}},
				{Name: "mailer-b", Addr: "127.0.0.1:7947", Admin: systems[1].AdminURL(), Version: "v2\x1b[31m", State: "running", Uptime: 90,
					Open: []admin.FleetEntry{{Service: "https://mail.internal", Path: "/v1", State: breaker.Open}}, More: 3},
				{Name: "mailer-c", Addr: "127.0.0.1:7948", State: "running", Gone: admin.MemberDead},
			}
			all[i].Self = true
			return all
		}
		sys.Add("fellows", fellows{parts.Closer(func(context.Context) error { return nil }), list})
		if err := sys.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
			defer cancel()
			if err := sys.Stop(ctx); err != nil {
				t.Errorf("stop: %v", err)
			}
		})
	}
	return systems
}

func TestFleetShowsAndSteersAllMembers(t *testing.T) {
	emptyDir(t)
	all := crewed(t, "")
	on := func(args ...string) []string {
		return append([]string{"fleet"}, append(args, "--admin", all[0].AdminURL())...)
	}
	out := does(t, on("ls")...)
	for _, want := range []string{"mailer-a *", "mail 20.0/s", "1s ago", "none yet", "https://mail.internal/v1 open, and 3 more", "dead"} {
		if !strings.Contains(out, want) {
			t.Errorf("ls has no %q:\n%s", want, out)
		}
	}
	if strings.Contains(out, "\x1b") {
		t.Errorf("a member's own words control the terminal: %q", out)
	}
	if list := lines[admin.FleetMember](t, on("ls")...); len(list) != 3 || !list[0].Self || list[2].Gone != admin.MemberDead {
		t.Errorf("ls --json: %+v", list)
	}

	// All, one, and what they did.
	out = does(t, on("do", "force", "open", "https://mail.internal", "/v2", "--for", "1m")...)
	if strings.Count(out, "done") != 2 || !strings.Contains(out, "mailer-b") {
		t.Errorf("force: %s", out)
	}
	for i, sys := range all {
		if s := sys.Breaker("https://mail.internal").StateOf("/v2"); s != breaker.ForcedOpen {
			t.Errorf("member %d: %v", i, s)
		}
	}
	does(t, on("do", "reset", "https://mail.internal", "/v2", "--member", "mailer-b")...)
	if s := all[0].Breaker("https://mail.internal").StateOf("/v2"); s != breaker.ForcedOpen {
		t.Errorf("an order to another reached this one: %v", s)
	}
	if s := all[1].Breaker("https://mail.internal").StateOf("/v2"); s != breaker.Closed {
		t.Errorf("the one that was named is %v", s)
	}
	does(t, on("do", "level", "mailer", "debug")...)
	for i, sys := range all {
		if _, ok := sys.Log().Levels()["mailer"]; !ok {
			t.Errorf("member %d has no level of mailer", i)
		}
	}
	if got := lines[admin.FleetAnswer](t, on("do", "pause", "slow")...); len(got) != 2 || got[1].Status != 200 {
		t.Errorf("pause --json: %+v", got)
	}
	does(t, on("do", "resume", "slow")...)

	// An execution of one of them is cancelled by its id alone.
	id, err := chassis.Send(t.Context(), all[1], slow, mail{})
	if err != nil {
		t.Fatal(err)
	}
	show := []string{"exec", "show", id, "--admin", all[0].AdminURL()}
	out = ""
	for end := time.Now().Add(20 * time.Second); out == "" && time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if r := chassisWith(t, "", show...); r.code == 0 {
			out = r.out
		} else if r.code != exitNotFound || !strings.Contains(r.err, "another of its fleet (1 have answered)") {
			t.Fatalf("show: %+v", r)
		}
	}
	if !strings.Contains(out, "mailer-b") || !strings.Contains(out, "running since") { // it is seen through another
		t.Errorf("show: %q", out)
	}
	done, first := false, ""
	for end := time.Now().Add(20 * time.Second); !done && time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		r := chassisWith(t, "", on("do", "cancel", id)...)
		first = cmp.Or(first, fmt.Sprintf("%+v", r))
		done = r.code == 0 && strings.Contains(r.out, "done") && strings.Contains(r.out, "no execution")
		if r.code != 0 && r.code != exitNotFound {
			t.Fatalf("cancel: %+v", r)
		}
	}
	if !done {
		t.Errorf("the execution was not cancelled; the first answer was %s", first)
	}
}

func TestFleetSaysWhatIsWrong(t *testing.T) {
	emptyDir(t)
	const token = "0123456789abcdef0123456789abcdef"
	all := crewed(t, token)
	at := " --admin " + all[0].AdminURL()
	if r := chassisWith(t, "", strings.Fields("fleet ls"+at)...); r.code != exitFailed || !strings.Contains(r.err, "CHASSIS_ADMIN__TOKEN") {
		t.Errorf("without the token: %+v", r)
	}
	t.Setenv("CHASSIS_ADMIN__TOKEN", token)
	for line, want := range map[string]struct {
		code int
		says string
	}{
		"fleet":                              {exitUsage, "do, ls"},
		"fleet do":                           {exitUsage, "cancel, force, level, pause, reset, resume"},
		"fleet do stop" + at:                 {exitUsage, "stop"},
		"fleet do force ajar https://x" + at: {exitUsage, "ajar"},
		"fleet do force open https://x --for -1m" + at: {exitUsage, "--for"},
		"fleet do cancel" + at:                         {exitUsage, "arg"},
		"fleet do cancel ghost" + at:                   {exitNotFound, "no member has"},
		"fleet do pause --member ghost" + at:           {exitFailed, "ghost"},
		"fleet do pause --member mailer-c" + at:        {exitFailed, "dead"},
		"fleet do pause no-such-task" + at:             {exitFailed, "0 of 2"},
		"fleet do reset https://ghost" + at:            {exitFailed, "0 of 2"},
	} {
		if r := chassisWith(t, "", strings.Fields(line)...); r.code != want.code || !strings.Contains(r.err, want.says) {
			t.Errorf("%s: %+v, want code %d and %q", line, r, want.code, want.says)
		}
	}
	other := watched(t, nil) // is in no fleet
	if r := chassisWith(t, "", "fleet", "ls", "--admin", other.AdminURL()); r.code != exitFailed || !strings.Contains(r.err, "404") {
		t.Errorf("a service without a fleet: %+v", r)
	}
}
