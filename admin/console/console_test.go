package chassis_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/admin"
	"github.com/sambatech/chassis/settings"
	"github.com/sambatech/chassis/task"
)

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

func TestTheAdminServerShowsAndSteersARunningSystem(t *testing.T) {
	block, begun := make(chan struct{}), make(chan struct{}, 10)
	sys, d := open(t, func(sys *chassis.System) {
		chassis.Handle(sys, task.Define[greeting]("greet"), func(context.Context, task.Job[greeting]) error { return nil })
		chassis.Handle(sys, task.Define[greeting]("doomed", task.MaxFailures(1)), func(context.Context, task.Job[greeting]) error {
			return errors.New("550 no such user")
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
	if st.Service.Name != "mailer" || st.Service.State != "running" || !st.Ready.OK() || st.Workers.Status != "RUNNING" || st.Workers.Poller.Received != 2 || st.Workers.Sender.Sent != 3 { // the dead letter is sent too
		t.Errorf("state: %+v %+v", st.Service, st.Workers)
	}
	if len(st.Tasks) != 3 || st.Tasks[0].Name != "doomed" || st.Tasks[0].GivenUp != 1 || st.Tasks[1].Succeeded != 1 {
		t.Errorf("tasks: %+v", st.Tasks)
	}

	dead := ask[admin.DeadPage](d, "GET", "api/v1/dead", "")
	if len(dead.List) != 1 || dead.List[0].Task != "doomed" || dead.List[0].LastError != "550 no such user" || dead.List[0].JobName != "spring" || dead.List[0].Body == "" {
		t.Fatalf("dead letters: %+v", dead)
	}
	wait(t, sys, func() {
		if f := ask[admin.Found](d, "POST", "api/v1/dead/back", `{"ids":["`+dead.List[0].ID+`","gone"]}`); f.Found != 1 {
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
	if code, body := d.do("POST", "api/v1/executions/cancel", `{"exec_id":"no-such"}`); code != 404 || !strings.Contains(body, "no-such") {
		t.Errorf("an unknown execution: %d %s", code, body)
	}
	d.do("POST", "api/v1/tasks/pause", `{"task":"greet"}`)
	d.do("POST", "api/v1/tasks/pause", `{"task":""}`)
	if st = ask[admin.State](d, "GET", "api/v1/state", ""); !st.Workers.Paused || !st.Tasks[1].Paused {
		t.Errorf("paused: %+v", st.Tasks)
	}
	d.do("POST", "api/v1/tasks/resume", `{"task":""}`)
	if code, body := d.do("POST", "api/v1/tasks/pause", `{"task":"nobody"}`); code != 404 {
		t.Errorf("an unknown task: %d %s", code, body)
	}

	mail := sys.Breaker("https://mail.internal")
	ask[any](d, "POST", "api/v1/breakers/force", `{"service":"https://mail.internal","path":"/v1","to":"forced-open","for":"1h"}`)
	if err := mail.Check("/v1/send"); err == nil {
		t.Error("forced open, but it would admit a call")
	}
	log := ask[struct{ List []admin.Transition }](d, "GET", "api/v1/transitions?service=https://mail.internal", "").List
	if len(log) != 1 || log[0].To != "forced-open" || log[0].Path != "/v1" {
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
	})
	wait(t, sys, func() {
		if _, err := sys.Send(t.Context(), "greet", greeting{}); err != nil {
			t.Fatal(err)
		}
	}, "settled")
	_, body := d.do("GET", "metrics", "")
	for _, want := range []string{
		`chassis_task_attempts_total{outcome="succeeded",task="greet"} 1`,
		`chassis_breaker_state{service="https://mail.internal",state="closed"} 1`,
		`chassis_queue_up{queue="mailer-tasks",role="tasks"} 1`,
		`chassis_messages_received_total 1`,
		`chassis_messages_sent_total{outcome="sent"} 1`,
		`chassis_ready{check="task_consumer"} 1`,
		`chassis_log_records_total{outcome="written",output="main"}`,
		`chassis_task_duration_seconds_bucket{task="greet",le="1.048576"} 1`,
		`chassis_task_duration_seconds_count{task="greet"} 1`,
		`chassis_task_delay_seconds_count{task="greet"} 1`,
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

func TestSettingsAreExplainedWithoutSecrets(t *testing.T) {
	sys, _ := newSystem(t, func(s *chassis.Settings) {
		s.Admin.Listen, s.Admin.Token = "127.0.0.1:0", settings.NewSecret("0123456789abcdef-secret")
		s.Tasks.Workers = 9
	})
	if err := sys.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	r, _ := http.NewRequestWithContext(t.Context(), "GET", sys.AdminURL()+"api/v1/settings", nil)
	r.Header.Set("Authorization", "Bearer 0123456789abcdef-secret")
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, _ := io.ReadAll(res.Body)
	if bytes.Contains(body, []byte("-secret")) || strings.Contains(strings.Join(sys.Log().Tail(100), ""), "-secret") {
		t.Errorf("the token is shown: %s", body)
	}
	var all struct{ List []admin.Setting }
	if err := json.Unmarshal(body, &all); err != nil {
		t.Fatal(err)
	}
	found := map[string]admin.Setting{}
	for _, s := range all.List {
		found[s.Key] = s
	}
	if w := found["tasks.workers"]; w.Value != "9" || w.From != "the program" {
		t.Errorf("tasks.workers: %+v", w)
	}
	if w := found["tasks.scale_factor"]; w.Value != "100" || w.From != "default" || w.Doc == "" {
		t.Errorf("tasks.scale_factor: %+v", w)
	}
	if w := found["admin.token"]; !w.Secret || w.Value == "" {
		t.Errorf("admin.token: %+v", w)
	}
}

// TestTheServicesOwnSettingsAreExplained: every value by where it was really
// given, also one that happens to equal the default.
func TestTheServicesOwnSettingsAreExplained(t *testing.T) {
	type Mail struct {
		From  string                  `rule:"required" doc:"sender address"`
		Batch int                     `doc:"mails sent at once"`
		Token settings.Secret[string] `doc:"token of the relay"`
	}
	type Config struct {
		chassis.Settings
		Mail Mail
	}
	const file = "admin:\n  listen: 127.0.0.1:0\npool: own-tasks\ntasks:\n  task_pool: .pool\n  workers: 3\nmail:\n  from: a@example.org\n"
	cfg, use, err := chassis.Load(Config{Settings: chassis.DefaultSettings(), Mail: Mail{Batch: 4}},
		settings.Bytes("chassis.yaml", settings.YAML, []byte(file)), settings.Environ("CHASSIS", []string{"CHASSIS_MAIL__TOKEN=s3cret"}), settings.Shared())
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Mail.From != "a@example.org" || cfg.Mail.Token.Reveal() != "s3cret" || cfg.Tasks.TaskPool != "own-tasks" {
		t.Errorf("%+v", cfg.Mail)
	}
	sys, err := chassis.New("mailer", use, chassis.WithLogOutput(io.Discard), chassis.WithoutDefaultLogger(), forTests)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := sys.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	if err := sys.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Get(sys.AdminURL() + "api/v1/settings")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, _ := io.ReadAll(res.Body)
	if bytes.Contains(body, []byte("s3cret")) {
		t.Errorf("the token is shown: %s", body)
	}
	var all struct{ List []admin.Setting }
	if err := json.Unmarshal(body, &all); err != nil {
		t.Fatal(err)
	}
	from := map[string]string{}
	if first := all.List[0].Key; first != "mail.from" {
		t.Errorf("the service's own do not come first, but %s", first)
	}
	for _, s := range all.List {
		if _, twice := from[s.Key]; twice {
			t.Errorf("%s is there twice", s.Key)
		}
		from[s.Key] = s.From
		if s.Key == "mail.token" && (!s.Secret || s.Value == "") || s.Key == "mail.batch" && (s.Value != "4" || s.Doc == "") {
			t.Errorf("%+v", s)
		}
	}
	for key, want := range map[string]string{
		"tasks.workers": "chassis.yaml:6:12", "tasks.max_workers": "default", "tasks.task_pool": "chassis.yaml:5:14 (alias .pool, at chassis.yaml:3:7)",
		"mail.from": "chassis.yaml:8:9", "mail.batch": "default", "mail.token": "CHASSIS_MAIL__TOKEN", "tasks.receive_wait": "the chassis", "log.levels.actor": "the chassis",
	} {
		if from[key] != want {
			t.Errorf("%s is from %q, want %q", key, from[key], want)
		}
	}
}

func TestSettingsWithoutTheChassisArePointedOut(t *testing.T) {
	type Config struct{ Mail struct{ From string } }
	if _, _, err := chassis.Load(Config{}, settings.Bytes("a.yaml", settings.YAML, nil)); err == nil || !strings.Contains(err.Error(), "embed chassis.Settings") {
		t.Errorf("%v", err)
	}
	type Whole struct {
		chassis.Settings
		Mail struct {
			From string `rule:"required"`
		}
	}
	_, _, err := chassis.Load(Whole{Settings: chassis.DefaultSettings()}, settings.Bytes("a.yaml", settings.YAML, []byte("tasks:\n  workers: many\n")))
	for _, word := range []string{"a.yaml:2:12", "mail.from"} {
		if err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("the error does not name %s: %v", word, err)
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

func TestAnExposedAdminServerWithoutATokenDoesNotStart(t *testing.T) {
	s := chassis.DefaultSettings()
	s.Admin.Listen = "0.0.0.0:0"
	if _, err := chassis.New("mailer", chassis.WithSettings(s), chassis.WithoutDefaultLogger()); err == nil || !strings.Contains(err.Error(), "admin.token") {
		t.Errorf("%v", err)
	}
}
