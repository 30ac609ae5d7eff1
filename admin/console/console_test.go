package console_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/actors/breaker"
	"github.com/sambatech/chassis/actors/dispatcher"
	"github.com/sambatech/chassis/admin"
	"github.com/sambatech/chassis/settings"
	"github.com/sambatech/chassis/task"
)

func TestTheAdminServerShowsAndSteersARunningSystem(t *testing.T) {
	block, begun := make(chan struct{}), make(chan struct{}, 10)
	sys, d := open(t, func(sys *chassis.System) {
		chassis.Handle(sys, task.Define[greeting]("greet"), func(context.Context, task.Job[greeting]) error { return nil })
		chassis.Handle(sys, task.Define[greeting]("doomed", task.MaxFailures(1)), func(context.Context, task.Job[greeting]) error {
			return errors.New("550 user unknown")
		})
		chassis.Handle(sys, task.Define[greeting]("slow"), func(ctx context.Context, job task.Job[greeting]) error {
			job.Report(3, 10, "thirds")
			begun <- struct{}{}
			select {
			case <-ctx.Done():
			case <-block:
			}
			return ctx.Err()
		})
		sys.Breaker("https://mail.internal")
	})
	send := func(name string) func() {
		return func() {
			if _, err := sys.Send(t.Context(), name, greeting{To: "Zoë"}, task.ForJob("7", "spring")); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, path := range []string{"livez", "readyz", "startupz"} {
		if code, body := d.do("GET", path, ""); code != 200 {
			t.Errorf("/%s: %d %s", path, code, body)
		}
	}
	wait(t, sys, send("greet"), "settled")
	wait(t, sys, send("doomed"), "settled")
	st := ask[admin.State](d, "GET", "api/v1/state", "")
	if st.Service.Name != "mailer" || st.Service.State != "running" || !st.Ready.OK() || st.Workers.Status != dispatcher.Running || st.Workers.Poller.Received != 2 || st.Workers.Sender.Sent != 3 { // the dead letter is sent too
		t.Errorf("state: %+v %+v", st.Service, st.Workers)
	}
	if len(st.Tasks) != 3 || st.Tasks[0].Name != "doomed" || st.Tasks[0].GivenUp != 1 || st.Tasks[1].Succeeded != 1 {
		t.Errorf("tasks: %+v", st.Tasks)
	}

	dead := ask[admin.DeadPage](d, "GET", "api/v1/dead", "")
	if len(dead.List) != 1 || dead.List[0].Task != "doomed" || dead.List[0].LastError != "550 user unknown" || dead.List[0].JobName != "spring" || dead.List[0].Body == "" {
		t.Fatalf("dead letters: %+v", dead)
	}
	if f := ask[admin.Found](d, "POST", "api/v1/dead/back", `{"ids":["gone"]}`); f.Found != 0 {
		t.Errorf("sent back what is not there: %+v", f)
	}
	wait(t, sys, func() {
		if f := ask[admin.Found](d, "POST", "api/v1/dead/back", `{"ids":["`+dead.List[0].ID+`"]}`); f.Found != 1 {
			t.Errorf("sent back: %+v", f)
		}
	}, "settled")
	dead = ask[admin.DeadPage](d, "GET", "api/v1/dead", "")
	if len(dead.List) != 1 {
		t.Fatalf("what was sent back failed again, so it is dead again: %+v", dead)
	}
	if f := ask[admin.Found](d, "POST", "api/v1/dead/delete", `{"ids":["`+dead.List[0].ID+`"],"confirm":"delete"}`); f.Found != 1 {
		t.Errorf("deleted: %+v", f)
	}
	if dead = ask[admin.DeadPage](d, "GET", "api/v1/dead", ""); len(dead.List) != 0 {
		t.Errorf("deleted but there: %+v", dead)
	}

	send("slow")()
	<-begun
	page := ask[admin.ExecutionPage](d, "GET", "api/v1/executions?search=spring", "")
	if page.Total != 1 || page.List[0].Task != "slow" || page.List[0].Phase != "running" || page.List[0].Progress == nil || page.List[0].Progress.Note != "thirds" ||
		time.Until(page.List[0].LeaseEnd) < time.Minute || time.Until(page.List[0].LeaseEnd) > 2*time.Minute {
		t.Errorf("executions: %+v", page)
	}
	wait(t, sys, func() {
		ask[admin.Found](d, "POST", "api/v1/executions/cancel", `{"exec_id":"`+page.List[0].ExecID+`"}`)
	}, "settled")
	if code, body := d.do("POST", "api/v1/executions/cancel", `{"exec_id":"unknown"}`); code != 404 || !strings.Contains(body, "unknown") {
		t.Errorf("an unknown execution: %d %s", code, body)
	}
	d.do("POST", "api/v1/tasks/pause", `{"task":"greet"}`)
	d.do("POST", "api/v1/tasks/pause", `{"task":""}`)
	if st = ask[admin.State](d, "GET", "api/v1/state", ""); !st.Workers.Paused || !st.Tasks[1].Paused {
		t.Errorf("paused: %+v", st.Tasks)
	}
	d.do("POST", "api/v1/tasks/resume", `{"task":""}`)
	if code, body := d.do("POST", "api/v1/tasks/pause", `{"task":"unknown"}`); code != 404 {
		t.Errorf("an unknown task: %d %s", code, body)
	}

	mail := sys.Breaker("https://mail.internal")
	ask[any](d, "POST", "api/v1/breakers/force", `{"service":"https://mail.internal","path":"/v1","to":"forced-open","for":"1h"}`)
	if err := mail.Check("/v1/send"); err == nil {
		t.Error("forced open, but it would admit a call")
	}
	log := ask[struct{ List []breaker.Transition }](d, "GET", "api/v1/transitions?service=https://mail.internal", "").List
	if len(log) != 1 || log[0].To != breaker.ForcedOpen || log[0].Entry != "/v1" {
		t.Errorf("transitions: %+v", log)
	}
	ask[any](d, "POST", "api/v1/breakers/reset", `{"service":"https://mail.internal"}`)
	if err := mail.Check("/v1/send"); err != nil {
		t.Errorf("reset: %v", err)
	}
	for body, want := range map[string]int{`{"service":"https://other","to":"forced-open"}`: 404,
		`{"service":"https://mail.internal","to":"forced-open","path":"` + strings.Repeat("/a", 40) + `"}`: 400} {
		if code, text := d.do("POST", "api/v1/breakers/force", body); code != want {
			t.Errorf("force %s: %d %s", body, code, text)
		}
	}

	ask[any](d, "POST", "api/v1/log/level", `{"name":"admin","level":"debug"}`)
	if l := ask[admin.State](d, "GET", "api/v1/state", "").Log.Levels["admin"]; l != "DEBUG" {
		t.Errorf("level %q", l)
	}
	ask[any](d, "POST", "api/v1/log/level", `{"name":"admin","level":""}`)
	for _, body := range []string{`{"name":"admin","level":"loud"}`, `{"name":"","level":""}`, `{"name":"","level":" "}`} {
		if code, text := d.do("POST", "api/v1/log/level", body); code != 400 {
			t.Errorf("level %s: %d %s", body, code, text)
		}
	}
	if lines := ask[struct{ Lines []string }](d, "GET", "api/v1/log", "").Lines; !strings.Contains(strings.Join(lines, "\n"), "operator's command") {
		t.Errorf("an operator's commands are not in the log: %q", lines)
	}
	close(block)
}

func TestMetricsOfARunningSystem(t *testing.T) {
	sys, d := open(t, func(sys *chassis.System) {
		chassis.Handle(sys, task.Define[greeting]("greet"), func(context.Context, task.Job[greeting]) error { return nil })
		sys.Breaker("https://mail.internal")
		sys.Check("postgres", func(context.Context) error { return nil })
		sys.Go("loop", func(ctx context.Context) error { <-ctx.Done(); return nil })
	})
	wait(t, sys, func() {
		if _, err := sys.Send(t.Context(), "greet", greeting{}, task.Tenant("acme")); err != nil {
			t.Fatal(err)
		}
	}, "settled")
	service := sys.Breaker("http://127.0.0.1:1", breaker.WithLimit(breaker.Fixed(7)))
	if _, err := service.Client(breaker.EjectOutliers()).Get("http://127.0.0.1:1/"); err == nil {
		t.Error("something answers at port 1")
	}
	body := ""
	for range 500 { // the first run of a check is no event
		if _, body = d.do("GET", "metrics", ""); strings.Contains(body, "chassis_check_up{") {
			break
		}
		time.Sleep(10 * time.Millisecond) // the page over a real socket
	}
	for _, want := range []string{
		`chassis_task_attempts_total{outcome="succeeded",task="greet"} 1`,
		`chassis_breaker_state{service="https://mail.internal",state="closed"} 1`,
		`chassis_queue_up{queue="mailer-tasks",role="tasks"} 1`,
		`chassis_messages_received_total 1`,
		`chassis_messages_sent_total{outcome="sent"} 1`,
		`chassis_ready{check="task_consumer"} 1`,
		`chassis_tenant_messages{tenant="acme"} 1`,
		`chassis_log_records_total{outcome="written",output="main"}`,
		`chassis_task_duration_seconds_bucket{task="greet",le="1.048576"} 1`,
		`chassis_task_duration_seconds_count{task="greet"} 1`,
		`chassis_task_delay_seconds_count{task="greet"} 1`,
		`chassis_check_up{name="postgres"`,
		`chassis_part_up{`,
		`chassis_breaker_http_call_duration_seconds_count{service="http://127.0.0.1:1",verdict="failure"} 1`,
		`chassis_breaker_http_refused_total{service="http://127.0.0.1:1"} 0`,
		`chassis_breaker_limit{service="http://127.0.0.1:1"} 7`,
		`chassis_breaker_limit_in_flight{service="http://127.0.0.1:1"} 0`,
		`chassis_breaker_addresses{service="http://127.0.0.1:1",state="closed"} 1`,
	} {
		if !strings.Contains(body, want) {
			t.Errorf("no %s in\n%s", want, body)
		}
	}
	for _, name := range admin.MetricNames() {
		if !strings.Contains(body, "# TYPE "+name+" ") {
			t.Errorf("%s is promised but not served by a system at work", name)
		}
	}
}

func TestOnlyAProgramIsServedWithoutBeingAsked(t *testing.T) {
	started, _ := newSystem(t, nil)
	if err := started.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if url := started.AdminURL(); url != "" {
		t.Errorf("Start alone serves at %s", url)
	}
	run, log := newSystem(t, nil)
	lines := run.Log().Subscribe(t.Context(), 100).Lines()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- run.Run(ctx) }()
	for line := range lines {
		if strings.Contains(line, `"running"`) {
			break
		}
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Get(run.AdminURL() + "readyz")
	if err != nil || res.StatusCode != http.StatusOK {
		t.Errorf("Run serves at %q: %v %v", run.AdminURL(), res, err)
	} else {
		res.Body.Close()
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if !strings.Contains(log.String(), run.AdminURL()) {
		t.Errorf("the log does not say where the page is")
	}
	if res, err := client.Get(run.AdminURL() + "readyz"); err == nil {
		res.Body.Close()
		t.Error("it is served after the end")
	}
}

// TestTokensRotateWhileTheServiceRuns: new settings are in force at once.
func TestTokensRotateWhileTheServiceRuns(t *testing.T) {
	old, fresh := "the-old-one-0123456789", "the-new-one-0123456789"
	sys, _ := newSystem(t, func(s *chassis.Settings) {
		s.Admin.Listen, s.Admin.Token = "127.0.0.1:0", settings.NewSecret(old)
	})
	if err := sys.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	next := sys.Settings()
	next.Admin.Token = settings.NewSecret(fresh)
	changes, err := sys.Apply(t.Context(), next)
	if err != nil || len(changes) != 1 || !changes[0].Live || strings.Contains(fmt.Sprint(changes), "-one-") {
		t.Errorf("%+v %v", changes, err)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for token, want := range map[string]int{old: 401, fresh: 200} {
		r, _ := http.NewRequestWithContext(t.Context(), "GET", sys.AdminURL()+"api/v1/state", nil)
		r.Header.Set("Authorization", "Bearer "+token)
		res, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != want {
			t.Errorf("%s: %s", token, res.Status)
		}
	}
}

// The metrics are there without a live page, and without a start.
func TestMetricsWithoutALivePage(t *testing.T) {
	s := chassis.DefaultSettings()
	s.Admin.Listen = admin.Off
	sys, err := chassis.New("quiet", chassis.WithSettings(s), chassis.WithoutDefaultLogger())
	if err != nil {
		t.Fatal(err)
	}
	sys.Breaker("https://mail.internal")
	families, err := sys.Metrics().Gather()
	found := false
	for _, f := range families {
		found = found || f.GetName() == "chassis_breaker_state"
	}
	if err != nil || !found {
		t.Errorf("%d families, %v", len(families), err)
	}
	if err := sys.Stop(context.Background()); err != nil {
		t.Error(err)
	}
	if _, err := sys.Metrics().Gather(); err == nil {
		t.Error("a service that has stopped gives metrics")
	}
}

// The error of a port in use ended in "%!w(<nil>)".
func TestAPortInUseIsAPlainError(t *testing.T) {
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	sys, _ := newSystem(t, func(s *chassis.Settings) { s.Admin.Listen = l.Addr().String() })
	err = sys.Start(t.Context())
	if err == nil || !strings.HasSuffix(err.Error(), "choose another address with admin.listen, or off") {
		t.Errorf("the start says %v", err)
	}
}
