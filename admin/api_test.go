package admin

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sambatech/chassis/actors/breaker"
	"github.com/sambatech/chassis/actors/dispatcher"
)

func TestCommandsReachTheService(t *testing.T) {
	p := newPlant()
	srv := serve(t, p, Settings{})
	for _, c := range []struct{ path, body, want string }{
		{"/api/v1/tasks/pause", `{"task":""}`, `pause ""`},
		{"/api/v1/tasks/resume", `{"task":"welcome"}`, `resume "welcome"`},
		{"/api/v1/executions/cancel", `{"exec_id":"e1","reason":"asked to"}`, "cancel e1 asked to"},
		{"/api/v1/executions/snooze", `{"exec_id":"e1","for":"1h30m"}`, "snooze e1 1h30m0s"},
		{"/api/v1/executions/snooze", `{"exec_id":"e2","for":90.5}`, "snooze e2 1m30.5s"},
		{"/api/v1/dead/back", `{"ids":["m1","m2"]}`, "back [m1 m2]"},
		{"/api/v1/dead/delete", `{"ids":["m1"],"confirm":"delete"}`, "delete [m1]"},
		{"/api/v1/breakers/force", `{"service":"https://mail.internal","path":"/v1","to":"forced-open","for":"5m"}`, "force https://mail.internal /v1 forced-open 5m0s"},
		{"/api/v1/breakers/force", `{"service":"https://mail.internal","to":"metrics-only"}`, "force https://mail.internal  metrics-only 5m0s"},
		{"/api/v1/breakers/force", `{"service":"https://mail.internal","to":"forced-closed","for":"0s"}`, "force https://mail.internal  forced-closed 0s"},
		{"/api/v1/breakers/reset", `{"service":"https://mail.internal"}`, "reset https://mail.internal "},
		{"/api/v1/log/level", `{"name":"actors/breaker","level":"debug"}`, `level "actors/breaker" debug`},
	} {
		w := ask(srv, "POST", c.path, c.body)
		if w.Code != 200 {
			t.Errorf("%s %s: %d %s", c.path, c.body, w.Code, w.Body)
		}
		if done := p.done(); len(done) == 0 || done[len(done)-1] != c.want {
			t.Errorf("%s %s did %q, want %q", c.path, c.body, done, c.want)
		}
	}
}

func get[T any](t testing.TB, srv *Server, path string) T {
	t.Helper()
	w := ask(srv, "GET", path, "")
	var v T
	if w.Code != 200 || json.Unmarshal(w.Body.Bytes(), &v) != nil {
		t.Fatalf("GET %s: %d %s", path, w.Code, w.Body)
	}
	return v
}

func TestExecutionsAreSearchedAndWindowed(t *testing.T) {
	p := newPlant()
	for i := range 10_000 {
		e := Execution{Execution: dispatcher.Execution{Task: "welcome", ExecID: fmt.Sprintf("e%05d", i), JobName: "spring mailing", Phase: "running", Since: time.Now()}}
		if i%4 == 0 {
			e.Task, e.Phase, e.Error = "report", "waiting", "no Route"
		}
		p.execs = append(p.execs, e)
	}
	srv := serve(t, p, Settings{})
	for _, c := range []struct {
		query           string
		matched, length int
		first           string
	}{
		{"", 10000, 100, "e00000"},
		{"?limit=500&offset=9990", 10000, 10, "e09990"},
		{"?offset=20000", 10000, 0, ""},
		{"?task=report&limit=7", 2500, 7, "e00000"},
		{"?phase=running", 7500, 100, "e00001"},
		{"?search=ROUTE%20&offset=1", 2500, 100, "e00004"},
		{"?search=e09999", 1, 1, "e09999"},
		{"?search=nothing", 0, 0, ""},
	} {
		page := get[ExecutionPage](t, srv, "/api/v1/executions"+c.query)
		if page.Total != 10000 || page.Matched != c.matched || len(page.List) != c.length || c.length > 0 && page.List[0].ExecID != c.first {
			t.Errorf("%s: total %d, matched %d, %d listed", c.query, page.Total, page.Matched, len(page.List))
		}
	}
	if p.asked > 2 {
		t.Errorf("the service was asked %d times for one second's looks", p.asked)
	}
}

func TestTheStateIsTheWholeServiceAndHidesSecrets(t *testing.T) {
	srv := serve(t, newPlant(), Settings{})
	st := get[State](t, srv, "/api/v1/state")
	if st.Service.Name != "mailer" || st.Uptime < 3599 || len(st.Queues) != 2 || st.Workers.Running != 2 || len(st.Tasks) != 2 ||
		len(st.Breakers) != 1 || st.Log.Levels[""] != "INFO" || !slices.Equal(st.Has, []string{"tasks", "dead", "breakers", "log", "settings"}) {
		t.Errorf("state: %+v", st)
	}
	w := ask(srv, "GET", "/api/v1/settings", "")
	if strings.Contains(w.Body.String(), "not masked by mistake") || !strings.Contains(w.Body.String(), "admin.token") {
		t.Errorf("settings: %s", w.Body)
	}
}

func TestAServiceWithoutPartsIsServedToo(t *testing.T) {
	srv, err := New(Config{Service: newPlant()})
	if err != nil {
		t.Fatal(err)
	}
	defer srv.Close(t.Context())
	if st := get[State](t, srv, "/api/v1/state"); st.Workers != nil || len(st.Has) != 0 || !st.Ready.OK() {
		t.Errorf("state: %+v", st)
	}
	for _, path := range []string{"/api/v1/executions", "/api/v1/dead", "/api/v1/settings"} {
		if w := ask(srv, "GET", path, ""); w.Code != 404 {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
	if w := ask(srv, "GET", "/metrics", ""); w.Code != 200 || !strings.Contains(w.Body.String(), "chassis_ready") {
		t.Errorf("metrics: %d", w.Code)
	}
	if _, err := New(Config{}); err == nil {
		t.Error("a server of nothing was made")
	}
}

func TestAManyPathedBreakerIsCutInTheState(t *testing.T) {
	p := newPlant()
	p.breakers[0].Entries = make([]breaker.EntryStatus, 1000)
	srv := serve(t, p, Settings{})
	if b := get[State](t, srv, "/api/v1/state").Breakers[0]; len(b.Entries) != maxEntries || b.More != 1000-maxEntries {
		t.Errorf("%d entries and %d more", len(b.Entries), b.More)
	}
}

// slowDead settles one letter and then takes as long as it is let.
type slowDead struct{ plantDead }

func (slowDead) SendBack(ctx context.Context, ids []string) ([]string, error) {
	<-ctx.Done()
	return ids[:1], ctx.Err()
}

// TestALongCommandIsAnsweredWhileItCanBe: after the write time-out no client would
// hear how far it came.
func TestALongCommandIsAnsweredWhileItCanBe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlant()
		cfg := p.config(Settings{})
		cfg.Dead = slowDead{plantDead{p}}
		srv, err := New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer srv.Close(t.Context())
		begun := time.Now()
		w := ask(srv, "POST", "/api/v1/dead/back", `{"ids":["a","b"]}`)
		if w.Code != http.StatusGatewayTimeout || !strings.Contains(w.Body.String(), "after 1 were settled") || time.Since(begun) >= writeLimit {
			t.Errorf("%d after %v: %s", w.Code, time.Since(begun), w.Body)
		}
	})
}
