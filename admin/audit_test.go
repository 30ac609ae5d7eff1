package admin

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/sambatech/chassis/settings"
)

// TestHostileOperatorCannotActUnseen: who, what exactly, on how many.
func TestHostileOperatorCannotActUnseen(t *testing.T) {
	var log bytes.Buffer
	p := newPlant()
	cfg := p.config(Settings{Tokens: map[string]Token{"alice": {settings.NewSecret(goodToken), ScopeOperate}}})
	cfg.Audit = slog.New(slog.NewJSONHandler(&log, nil))
	srv := made(t, cfg)
	auth := "Authorization: Bearer " + goodToken
	ask(srv, "POST", "/api/v1/executions/cancel", `{"exec_id":"e7","reason":"spam"}`, auth)
	ask(srv, "POST", "/api/v1/dead/back", `{"ids":["m1","m2"]}`, auth)
	ask(srv, "POST", "/api/v1/tasks/pause", `{"task":"unknown-task"}`, auth)
	ids := make([]string, maxDead)
	for i := range ids {
		ids[i] = fmt.Sprintf("id-%04d", i)
	}
	all, _ := json.Marshal(map[string]any{"ids": ids, "confirm": "delete"})
	ask(srv, "POST", "/api/v1/dead/delete", string(all), auth)
	for _, want := range []string{`"by":"alice"`, `"address":"192.0.2.1:1234"`, `\"exec_id\":\"e7\"`, `\"reason\":\"spam\"`, `"touched":1`,
		`"ids":["m1","m2"]`, `"touched":2`, "refused", "id-0000", "id-0999", `"touched":1000`} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("no %s in the audit log", want)
		}
	}
}

// TestHostileLoginsAreCountedAndSlowedAndDoNotFloodTheLog.
func TestHostileLoginsAreCountedAndSlowedAndDoNotFloodTheLog(t *testing.T) {
	var log bytes.Buffer
	cfg := newPlant().config(Settings{Token: settings.NewSecret(goodToken)})
	cfg.Audit = slog.New(slog.NewJSONHandler(&log, nil))
	srv := made(t, cfg)
	srv.guard.delay = 20 * time.Millisecond
	begun := time.Now()
	for i := range 20 {
		if w := ask(srv, "GET", "/api/v1/state", "", fmt.Sprintf("Authorization: Bearer guess-%d", i)); w.Code != 401 {
			t.Fatal(w.Code)
		}
	}
	if took := time.Since(begun); took < 20*srv.guard.delay {
		t.Errorf("20 wrong tokens took %v", took)
	}
	ask(srv, "GET", "/readyz", "", "Authorization: Bearer a-guess-by-a-probe")
	if n := strings.Count(log.String(), "login refused"); n != 1 || strings.Contains(log.String(), "guess") {
		t.Errorf("%d records: %s", n, log.String())
	}
	if body := ask(srv, "GET", "/metrics", "", "Authorization: Bearer "+goodToken).Body.String(); !strings.Contains(body, "chassis_admin_refused_logins_total 21") {
		t.Error("the refused logins are not counted")
	}
}
