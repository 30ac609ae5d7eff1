package e2e

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/settings"
	"github.com/sambatech/chassis/task"
)

// service is a mailer whose gateway can be broken, on the embedded queue: a
// real one, as a user of the chassis writes it.
type service struct {
	*chassis.System
	gateway *httptest.Server
	broken  atomic.Bool // the gateway answers 503
	strict  atomic.Bool // "invoice" has no recipient
	hold    chan struct{}
	stopped chan error
}

// config is the settings of the mailer: the chassis', and its own.
type config struct {
	chassis.Settings
	Mail mailSettings
}

type mailSettings struct {
	From  string                  `rule:"required" doc:"sender address"`
	Batch int                     `rule:"min=1,max=100" doc:"mails of one letter that go out together"`
	Token settings.Secret[string] `doc:"token of the relay"`
}

type mail struct {
	To      string `json:"to"`
	Subject string `json:"subject"`
}

func start(t *testing.T, change func(*chassis.Settings)) *service {
	t.Helper()
	s := &service{hold: make(chan struct{}), stopped: make(chan error, 1)}
	s.strict.Store(true)
	s.gateway = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.broken.Load() {
			http.Error(w, "down for repairs", http.StatusServiceUnavailable)
		}
	}))
	t.Cleanup(s.gateway.Close)
	set := chassis.DefaultSettings()
	set.Admin.Listen = "127.0.0.1:0"
	set.Tasks.Workers, set.Tasks.MaxWorkers = 4, 4
	set.CircuitBreaker.ClosedFailLimit = 3
	set.CircuitBreaker.OpenTimeout = 3 * time.Second
	set.CircuitBreaker.HalfSuccessLimit = 2
	if change != nil {
		change(&set)
	}
	_, use, err := chassis.Load(config{Settings: set, Mail: mailSettings{Batch: 50}},
		settings.Bytes("chassis.yaml", settings.YAML, []byte("mail:\n  from: spring@example.org\n  batch: 80\n")),
		settings.Environ("CHASSIS", []string{"CHASSIS_MAIL__TOKEN=e2e-secret"}))
	if err != nil {
		t.Fatal(err)
	}
	s.System, err = chassis.New("mailer", use, chassis.WithLogOutput(t.Output()), chassis.WithoutDefaultLogger())
	if err != nil {
		t.Fatal(err)
	}
	s.register()
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		select {
		case <-s.hold:
		default:
			close(s.hold)
		}
		if err := s.Stop(context.Background()); err != nil {
			t.Errorf("stop: %v", err)
		}
	})
	return s
}

func (s *service) register() {
	log := s.Logger("mailer")
	b := s.Breaker(s.gateway.URL)
	welcome := task.Define[mail]("welcome", task.MaxFailures(5), task.Wait(20*time.Second, task.Arithmetic))
	chassis.Handle(s.System, welcome, func(ctx context.Context, job task.Job[mail]) error {
		log.InfoContext(ctx, "sending", "to", job.Args.To)
		return s.deliver(ctx, b.Client(), "/v1/welcome")
	})
	chassis.Handle(s.System, task.Define[mail]("invoice", task.MaxFailures(1)), func(ctx context.Context, job task.Job[mail]) error {
		if s.strict.Load() {
			return errors.New("550 5.1.1 <zoë@example.org>: recipient address rejected: user unknown")
		}
		log.InfoContext(ctx, "invoice sent", "to", job.Args.To)
		return nil
	})
	chassis.Handle(s.System, task.Define[mail]("newsletter"), func(ctx context.Context, job task.Job[mail]) error {
		job.Report(1300, 4000, "recipients")
		select {
		case <-s.hold:
		case <-ctx.Done():
		}
		return ctx.Err()
	})
}

func (s *service) deliver(ctx context.Context, client *http.Client, path string) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.gateway.URL+path, nil)
	if err != nil {
		return err
	}
	res, err := client.Do(r)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode >= 400 {
		return fmt.Errorf("the gateway answered %s", res.Status)
	}
	return nil
}

func (s *service) send(t *testing.T, name, to string) {
	t.Helper()
	if _, err := s.Send(t.Context(), name, mail{To: to, Subject: "Spring"}, task.ForJob("2026-11", "spring mailing")); err != nil {
		t.Fatal(err)
	}
}

// load keeps welcome mails coming until the test ends, for pictures with life in
// them.
func (s *service) load(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		every := time.NewTicker(40 * time.Millisecond)
		defer every.Stop()
		for i := 0; ; i++ {
			select {
			case <-every.C:
				for range 1 + i/25%4 {
					if _, err := s.Send(ctx, "welcome", mail{To: fmt.Sprintf("reader%d@example.org", i)}, task.ForJob("2026-11", "spring mailing")); err != nil {
						slog.Debug("sending ends", "error", err)
						return
					}
				}
			case <-ctx.Done():
				return
			}
		}
	}()
	t.Cleanup(func() { cancel(); <-ended })
}
