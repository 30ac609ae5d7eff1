package chassis_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/settings"
)

// pageClient keeps no connection, whose goroutines would outlive a test.
var pageClient = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

// health_url has a user and a password in it, as URLs of health checks may. The
// breaker uses it whole; nothing shows it.
func TestThePasswordOfAHealthURLIsShown(t *testing.T) {
	const healthURL = `circuit_breaker: {health_url: "http://probe:hunter2@127.0.0.1:1/health", services: {"https://a.internal": {health_url: "http://probe:hunter2@h/"}}}` +
		"\n"
	shown := map[string]string{}
	s, err := chassis.LoadSettings(yaml(healthURL))
	if err != nil {
		t.Fatal(err)
	}
	layout, err := settings.LayoutOf(chassis.DefaultSettings())
	if err != nil {
		t.Fatal(err)
	}
	entries, err := layout.Explain(yaml(healthURL), settings.Shared())
	if err != nil {
		t.Fatal(err)
	}
	shown["explain"] = fmt.Sprintf("%+v", entries)
	shown["the changes"] = fmt.Sprintf("%+v", settings.Diff(chassis.DefaultSettings(), s))
	for _, wrong := range []string{"http://probe:hunter2@127.0.0.1:x/", "ftp://probe:hunter2@h"} {
		_, err = chassis.LoadSettings(yaml(`circuit_breaker: {health_url: "` + wrong + `"}` + "\n"))
		shown["the error for a wrong one"] += fmt.Sprint(err)
		bad := chassis.DefaultSettings()
		bad.CircuitBreaker.HealthURL = wrong
		_, err = chassis.New("mailer", chassis.WithSettings(bad))
		shown["the error of New"] += fmt.Sprint(err)
	}
	_, err = chassis.LoadSettings(yaml(`circuit_breaker: {services: {"https://probe:hunter2@a.internal": {}}}` + "\n"))
	shown["the error for a service's name"] = fmt.Sprint(err)
	endpoint := s
	endpoint.Queue.Endpoint, endpoint.Queue.Region = "http://probe:hunter2@127.0.0.1:1", "eu-central-1"
	_, err = chassis.New("mailer", chassis.WithSettings(endpoint), chassis.WithLogOutput(io.Discard), chassis.WithoutDefaultLogger())
	shown["the error for the queue's endpoint"] = fmt.Sprint(err)
	var log strings.Builder
	s.Admin.Listen = "127.0.0.1:0"
	sys, err := chassis.New("mailer", chassis.WithSettings(s), chassis.WithLogOutput(&log), chassis.WithoutDefaultLogger(),
		chassis.WithActorConfig(actor.WithDeadLetterThrottleInterval(time.Millisecond)))
	if err != nil {
		t.Fatal(err)
	}
	sys.Breaker("https://a.internal")
	if err := sys.Start(t.Context()); err != nil {
		shown["the error of Start"] = err.Error()
	}
	if url := sys.AdminURL(); url == "" {
		t.Error("the system has no page")
	} else {
		for _, path := range []string{"settings", "breakers", "info", ""} {
			res, err := pageClient.Get(url + "api/v1/" + path)
			if err != nil {
				t.Error(err)
				continue
			}
			body, _ := io.ReadAll(res.Body)
			_ = res.Body.Close()
			shown["GET /api/v1/"+path] = string(body)
		}
	}
	next := s
	next.CircuitBreaker.HealthURL = "http://probe:hunter2again@127.0.0.1:1/health"
	if _, err := sys.Apply(t.Context(), next); err != nil {
		t.Error(err)
	}
	if err := sys.Stop(t.Context()); err != nil {
		t.Log(err)
	}
	shown["the log"] = log.String()
	if !strings.Contains(log.String(), "a setting has changed") {
		t.Errorf("no change in the log: %s", log.String())
	}
	for where, text := range shown {
		if i := strings.Index(text, "hunter2"); i >= 0 {
			t.Errorf("%s shows the password: …%s…", where, text[max(0, i-80):min(len(text), i+30)])
		}
	}
}
