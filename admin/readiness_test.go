package admin

import (
	"strings"
	"testing"
	"time"

	"github.com/sambatech/chassis/actors/pools"
	"github.com/sambatech/chassis/health"
	"github.com/sambatech/chassis/settings"
)

func TestWhatReadinessIsMadeOf(t *testing.T) {
	well, away := pools.Readiness{TaskQueues: OK, TaskConsumer: OK}, pools.Readiness{TaskQueues: Error, TaskConsumer: OK, Reasons: []string{"SQS does not answer"}}
	up := health.Status{Name: "db", Up: true, Known: true, Readiness: true}
	down := health.Status{Name: "db", Known: true, Readiness: true, Error: "refused", Since: time.Unix(0, 0).UTC()}
	unknown := health.Status{Name: "db", Readiness: true}
	info := health.Status{Name: "search", Known: true, Error: "slow"}
	for name, c := range map[string]struct {
		state   string
		tasks   pools.Readiness
		checks  []health.Status
		without []string
		ok      bool
		reasons string
	}{
		"all is well":                     {StateRunning, well, []health.Status{up}, nil, true, ""},
		"a check fails":                   {StateRunning, well, []health.Status{down}, nil, false, "check db: fails since 1970-01-01T00:00:00Z: refused"},
		"a check that does not count":     {StateRunning, well, []health.Status{down}, []string{"db"}, true, ""},
		"a check without a result":        {StateRunning, well, []health.Status{unknown}, nil, false, "check db: it has no result yet"},
		"a check for information":         {StateRunning, well, []health.Status{info}, nil, true, ""},
		"the queue is away":               {StateRunning, away, nil, nil, false, "SQS does not answer"},
		"an API with an outbox":           {StateRunning, away, nil, []string{"task_queues", "task_consumer"}, true, "SQS does not answer"},
		"a stop, whatever does not count": {StateStopping, well, nil, []string{"task_queues", "task_consumer", "service"}, false, ""},
		"before the start":                {StateStarting, well, nil, nil, false, ""},
	} {
		r := NewReadiness(c.state, c.tasks, c.checks, c.without)
		if r.OK() != c.ok || r.Ready != healthOf(c.ok) || strings.Join(r.Reasons, "; ") != c.reasons {
			t.Errorf("%s: %v, %+v", name, r.OK(), r)
		}
	}
}

func TestReadyzInLinesAndByName(t *testing.T) {
	p := newPlant()
	p.ready = NewReadiness(StateRunning, pools.Readiness{TaskQueues: OK, TaskConsumer: OK}, []health.Status{
		{Name: "db", Known: true, Readiness: true, Error: "10.0.0.7 refused"}, {Name: "cache", Up: true, Known: true},
		{Name: "search", Known: true, Error: "slow"}}, nil)
	srv := serve(t, p, Settings{Listen: "0.0.0.0:9190", Token: settings.NewSecret(goodToken)})
	for path, c := range map[string]struct {
		code          int
		with, without string // what the body has with the token, and without it
	}{
		"/readyz":                      {503, `"CHECKS":{"cache":"OK","db":"ERROR","search":"ERROR"},"reasons":["check db: `, `"READY":"ERROR"`},
		"/readyz?verbose":              {503, "[+]task_consumer ok\n[-]db failed: fails since 0001-01-01T00:00:00Z: 10.0.0.7 refused\n[+]cache ok\n[-]search failed: fails since 0001-01-01T00:00:00Z: slow (does not count)\nreadyz check failed", "[-]db failed: reason withheld\n"},
		"/readyz?verbose&exclude=db":   {200, "[+]db excluded: ok\n[+]cache ok\n", "readyz check passed"},
		"/readyz?exclude=db":           {200, `"TASK_QUEUES":"OK"`, `"TASK_QUEUES":"OK"`},
		"/readyz?exclude=db&exclude=x": {200, `"TASK_QUEUES":"OK"`, `"TASK_QUEUES":"OK"`},
		"/readyz/db":                   {503, "10.0.0.7 refused", "reason withheld"},
		"/readyz/cache":                {200, "[+]cache ok", "[+]cache ok"},
		"/readyz/search":               {503, "slow", "(does not count)"},
		"/readyz/task_queues":          {200, "[+]task_queues ok", "[+]task_queues ok"},
		"/readyz/nothing":              {404, "/readyz?verbose lists them", "/readyz?verbose lists them"},
	} {
		w := ask(srv, "GET", path, "", "Host: 10.1.2.3:9190")
		if w.Code != c.code || !strings.Contains(w.Body.String(), c.without) || strings.Contains(w.Body.String(), "10.0.0.7") {
			t.Errorf("%s without the token: %d %s", path, w.Code, w.Body)
		}
		w = ask(srv, "GET", path, "", "Host: 10.1.2.3:9190", "Authorization: Bearer "+goodToken)
		if w.Code != c.code || !strings.Contains(w.Body.String(), c.with) {
			t.Errorf("%s with the token: %d %s", path, w.Code, w.Body)
		}
	}
}
