package awssource_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/health"
	"github.com/sambatech/chassis/settings"
	"github.com/sambatech/chassis/settings/awssource"
	"github.com/sambatech/chassis/settings/awssource/internal/awsserver"
)

// service is the settings of a service on the chassis.
type service struct {
	chassis.Settings
	Mail struct {
		From  string                  `live:"true"`
		Token settings.Secret[string] `live:"true"`
		Batch int
	}
}

// TestService runs a whole service, in real time, for its page is served on a socket: a rotation reaches the handle
// and the chassis' own settings, the page has addresses and versions and no secret, and AWS away is shown and does
// not take the service out.
func TestService(t *testing.T) {
	aws := awsserver.New()
	aws.Put("/mailer/log/level", "String", "info")
	aws.Put("/mailer/batch", "String", "8")
	aws.Put("/pool", "SecureString", "quiet-1")
	aws.Put("/from", "SecureString", "hush-from-1")
	aws.PutSecret("token", "hush-1", "AWSCURRENT")
	store := awssource.NewWithin(aws.Config(), 50*time.Millisecond)
	cfg, use, err := chassis.Load(service{Settings: chassis.DefaultSettings()},
		settings.Bytes("chassis.yaml", settings.YAML, []byte("admin: {listen: '127.0.0.1:0'}\nmail:\n  from: ssm:/from\n"+
			"  token: secretsmanager:token\n  batch: ssm:/mailer/batch\nqueue: {in_memory: allow}\nlog: {level: ssm:/mailer/log/level}\n"+
			"tasks: {task_pool: ssm:/pool}\n")),
		settings.From(store))
	if err != nil {
		t.Fatal(err)
	}
	log := &record{}
	sys, err := chassis.New("mailer", use, chassis.WithLogOutput(log), chassis.WithoutDefaultLogger(),
		chassis.WithActorConfig(actor.WithDeadLetterThrottleInterval(time.Millisecond)))
	if err != nil {
		t.Fatal(err)
	}
	sys.Check("aws-settings", store.Check, health.ForInformation(), health.Every(20*time.Millisecond))
	live := chassis.Live(sys, cfg)
	if err := sys.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	defer func() {
		if err := sys.Stop(context.Background()); err != nil {
			t.Error(err)
		}
		for _, p := range aws.Problems() {
			t.Error("the server: ", p)
		}
	}()
	get := func(path string) string {
		t.Helper()
		res, err := client.Get(sys.AdminURL() + path)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = res.Body.Close() }()
		b, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(b), "hush") {
			t.Errorf("%s has a secret: %s", path, b)
		}
		return res.Status + " " + string(b)
	}
	until := func(what string, done func() bool) {
		t.Helper()
		for begun := time.Now(); !done(); time.Sleep(5 * time.Millisecond) { // the socket is in real time
			if time.Since(begun) > 20*time.Second {
				t.Fatalf("not within 20 s: %s\n%s", what, get("/api/v1/settings"))
			}
		}
	}
	page := get("/api/v1/settings")
	for _, want := range []string{"ssm:/mailer/log/level v1: chassis.yaml:7:14", "ssm:/from v1: chassis.yaml:3:9",
		"secretsmanager:token 00000001: chassis.yaml:4:10", "ssm:/mailer/batch v1"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page has no %q:\n%s", want, page)
		}
	}

	changed := live.Changed()
	aws.PutSecret("token", "hush-2", "AWSCURRENT")
	aws.Put("/from", "SecureString", "hush-from-2")
	aws.Put("/mailer/log/level", "String", "debug")
	aws.Put("/pool", "SecureString", "quiet-2")
	aws.Put("/mailer/batch", "String", "9")
	<-changed
	until("the rotation is in force", func() bool {
		now := live.Get().Mail
		return now.Token.Reveal() == "hush-2" && now.From == "hush-from-2" && string(sys.Settings().Log.Level) == "debug"
	})
	if got := live.Get().Mail.Batch; got != 8 {
		t.Errorf("%d is in force, which needs a restart", got)
	}
	until("the page has the versions", func() bool {
		page := get("/api/v1/settings")
		return strings.Contains(page, "secretsmanager:token 00000002") && strings.Contains(page, "ssm:/mailer/log/level v2") &&
			strings.Contains(page, "ssm:/from v2")
	})

	aws.Break(errors.New("no route to host"))
	until("the check says it", func() bool { return strings.Contains(get("/readyz?verbose"), "no route to host") })
	if got := get("/readyz"); !strings.HasPrefix(got, "200 ") {
		t.Errorf("not ready, without AWS: %s", got)
	}
	aws.Break(nil)
	until("it is over", func() bool { return !strings.Contains(get("/readyz?verbose"), "no route to host") })
	text := log.take()
	if strings.Contains(text, "hush") || strings.Contains(text, "quiet-2") {
		t.Errorf("the log has a secret:\n%s", text)
	}
	for _, want := range []string{"a store of settings cannot be read", "a changed setting needs a restart", "mail.batch",
		"tasks.task_pool"} {
		if !strings.Contains(text, want) {
			t.Errorf("the log has no %q:\n%s", want, text)
		}
	}
}
