package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/sambatech/chassis/actors/schedules"
	"github.com/sambatech/chassis/settings"
)

// plantSchedules has so many schedules, and keeps what it is asked for.
type plantSchedules struct {
	*plant
	many int
}

func (p plantSchedules) Schedules() []schedules.Status {
	list := make([]schedules.Status, p.many)
	for i := range list {
		list[i] = schedules.Status{Name: fmt.Sprintf("report-%d", i), Expr: "0 3 * * *", Zone: "UTC"}
	}
	return list
}

func (p plantSchedules) SendNow(_ context.Context, name string) (string, error) {
	if name == "ghost" {
		return "", fmt.Errorf("%w: %q", ErrNotFound, name)
	}
	p.did("run %s", name)
	return "e9", nil
}

func (p plantSchedules) Pause(_ context.Context, name string, on bool) error {
	if name == "ghost" {
		return fmt.Errorf("%w: %q", ErrNotFound, name)
	}
	p.did("paused %s %v", name, on)
	return nil
}

// TestSchedulesAreSteeredByOperatorsOnly: a reader looks, an operator acts, and what he
// did is in the audit log.
func TestSchedulesAreSteeredByOperatorsOnly(t *testing.T) {
	const readToken = "fedcba9876543210fedcba9876543210"
	var audit bytes.Buffer
	p := newPlant()
	cfg := p.config(Settings{Tokens: map[string]Token{
		"alice": {settings.NewSecret(goodToken), ScopeOperate}, "rob": {settings.NewSecret(readToken), ScopeRead}}})
	cfg.Schedules = plantSchedules{p, 2}
	cfg.Audit = slog.New(slog.NewJSONHandler(&audit, nil))
	srv := made(t, cfg)
	for _, c := range []struct {
		method, path, body, token string
		code                      int
		answer                    string
	}{
		{"GET", "", "", readToken, 200, `"name":"report-1"`},
		{"GET", "", "", "", 401, "token"},
		{"POST", "/run", `{"name":"report-1"}`, readToken, 403, "operate"},
		{"POST", "/pause", `{"name":"report-1"}`, readToken, 403, "operate"},
		{"POST", "/run", `{"name":"report-1"}`, goodToken, 200, `"exec_id":"e9"`},
		{"POST", "/pause", `{"name":"report-1"}`, goodToken, 200, `"name":"report-1"`},
		{"POST", "/resume", `{"name":"report-1"}`, goodToken, 200, `"name":"report-1"`},
		{"POST", "/run", `{}`, goodToken, 400, "name is missing"},
		{"POST", "/pause", `{"name":""}`, goodToken, 400, "name is missing"},
		{"POST", "/resume", `{"names":["report-1"]}`, goodToken, 400, "names"},
		{"POST", "/run", `{"name":"ghost"}`, goodToken, 404, "ghost"},
		{"POST", "/pause", `{"name":"ghost"}`, goodToken, 404, "ghost"},
	} {
		var headers []string
		if c.token != "" {
			headers = append(headers, "Authorization: Bearer "+c.token)
		}
		w := ask(srv, c.method, "/api/v1/schedules"+c.path, c.body, headers...)
		if w.Code != c.code || !strings.Contains(w.Body.String(), c.answer) {
			t.Errorf("%s %s %s: %d %s", c.method, c.path, c.body, w.Code, w.Body)
		}
	}
	if got, want := p.done(), []string{"run report-1", "paused report-1 true", "paused report-1 false"}; !slices.Equal(got, want) {
		t.Errorf("done: %q, want %q", got, want)
	}
	for _, want := range []string{"/api/v1/schedules/run", "/api/v1/schedules/pause", `\"name\":\"report-1\"`, `"by":"alice"`, `\"name\":\"ghost\"`} {
		if !strings.Contains(audit.String(), want) {
			t.Errorf("no %s in the audit log: %s", want, audit.String())
		}
	}
}

// TestAServiceWithoutSchedulesHasNoneToSteer, and its page has no view of them.
func TestAServiceWithoutSchedulesHasNoneToSteer(t *testing.T) {
	srv := serve(t, newPlant(), Settings{})
	if w := ask(srv, "GET", "/api/v1/schedules", ""); w.Code != 404 {
		t.Errorf("a look: %d %s", w.Code, w.Body)
	}
	if w := ask(srv, "POST", "/api/v1/schedules/run", `{"name":"x"}`); w.Code != 405 {
		t.Errorf("a run: %d %s", w.Code, w.Body)
	}
	for many, want := range map[int]bool{0: false, 1: true} {
		p := newPlant()
		cfg := p.config(Settings{})
		cfg.Schedules = plantSchedules{p, many}
		var state State
		if err := json.Unmarshal(ask(made(t, cfg), "GET", "/api/v1/state", "").Body.Bytes(), &state); err != nil {
			t.Fatal(err)
		}
		if got := slices.Contains(state.Has, "schedules"); got != want || len(state.Schedules) != many {
			t.Errorf("%d schedules: has %v, %d in the state", many, state.Has, len(state.Schedules))
		}
	}
}

// TestHostileManySchedulesAreBounded in an answer.
func TestHostileManySchedulesAreBounded(t *testing.T) {
	p := newPlant()
	cfg := p.config(Settings{})
	cfg.Schedules = plantSchedules{p, maxSchedules + 500}
	var list ScheduleList
	if err := json.Unmarshal(ask(made(t, cfg), "GET", "/api/v1/schedules", "").Body.Bytes(), &list); err != nil || len(list.List) != maxSchedules {
		t.Errorf("%d schedules, %v", len(list.List), err)
	}
}
