package admin

import (
	"strings"
	"testing"

	"github.com/sambatech/chassis/settings"
)

func TestProbesSayWhatTheServiceSays(t *testing.T) {
	for name, c := range map[string]struct {
		change               func(p *plant)
		live, ready, startup int
		body                 string // of /readyz
	}{
		"healthy": {func(*plant) {}, 200, 200, 200, `{"TASK_QUEUES":"OK","TASK_CONSUMER":"OK"}`},
		"starting": {func(p *plant) {
			p.info.State = StateStarting
			p.ready = Readiness{TaskQueues: Error, TaskConsumer: Error, Reasons: []string{"starting"}}
		}, 200, 503, 503, `{"TASK_QUEUES":"ERROR","TASK_CONSUMER":"ERROR","reasons":["starting"]}`},
		"queue gone": {func(p *plant) {
			p.ready = Readiness{TaskQueues: Error, TaskConsumer: OK, Reasons: []string{"the queue does not exist"}}
		}, 200, 503, 200, `{"TASK_QUEUES":"ERROR","TASK_CONSUMER":"OK","reasons":["the queue does not exist"]}`},
		"actors stuck": {func(p *plant) {
			p.live = Liveness{Actors: Error, Reasons: []string{"the dispatcher has not answered for 40s"}}
			p.ready = Readiness{TaskQueues: OK, TaskConsumer: Error, Reasons: []string{"stuck"}}
		}, 503, 503, 200, `{"TASK_QUEUES":"OK","TASK_CONSUMER":"ERROR","reasons":["stuck"]}`},
		"draining": {func(p *plant) {
			p.info.State = StateStopping
			p.ready = Readiness{TaskQueues: OK, TaskConsumer: Error, Reasons: []string{"draining"}}
		}, 200, 503, 200, `{"TASK_QUEUES":"OK","TASK_CONSUMER":"ERROR","reasons":["draining"]}`},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlant()
			c.change(p)
			srv := serve(t, p, Settings{})
			for path, want := range map[string]int{"/livez": c.live, "/readyz": c.ready, "/startupz": c.startup} {
				w := ask(srv, "GET", path, "")
				if w.Code != want {
					t.Errorf("%s: %d, want %d: %s", path, w.Code, want, w.Body)
				}
				if got := strings.TrimSpace(w.Body.String()); path == "/readyz" && got != c.body {
					t.Errorf("/readyz: %s\nwant %s", got, c.body)
				}
			}
		})
	}
}

func TestProbesNeedNoTokenButThenGiveNoReasons(t *testing.T) {
	p := newPlant()
	p.ready = Readiness{TaskQueues: Error, TaskConsumer: OK, Reasons: []string{"https://sqs.eu/123456789012/mailer does not exist"}}
	p.live = Liveness{Actors: Error, Reasons: []string{"secret"}}
	srv := serve(t, p, Settings{Listen: "0.0.0.0:9190", Token: settings.NewSecret(goodToken)})
	for _, path := range []string{"/readyz", "/livez"} {
		if w := ask(srv, "GET", path, "", "Host: 10.1.2.3:9190"); w.Code != 503 || strings.Contains(w.Body.String(), "reasons") {
			t.Errorf("%s without the token: %d %s", path, w.Code, w.Body)
		}
		if w := ask(srv, "GET", path, "", "Host: 10.1.2.3:9190", "Authorization: Bearer "+goodToken); !strings.Contains(w.Body.String(), "reasons") {
			t.Errorf("%s with the token: %d %s", path, w.Code, w.Body)
		}
	}
}
