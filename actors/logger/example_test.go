package logger_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/sambatech/chassis/actors/logger"
	"github.com/sambatech/chassis/task"
)

// withoutTime is an output that leaves out what differs from run to run.
type withoutTime struct{}

func (withoutTime) Write(b []byte) (int, error) {
	for _, line := range strings.SplitAfter(string(b), "\n") {
		if _, rest, ok := strings.Cut(line, `"level"`); ok {
			fmt.Print(`{"level"` + rest)
		}
	}
	return len(b), nil
}

func Example() {
	l, err := logger.New("mailer", logger.Settings{}, logger.WithOutput(withoutTime{}))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer l.Guard()
	system := actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger {
		return slog.New(slog.DiscardHandler)
	}), actor.WithDeadLetterThrottleInterval(time.Millisecond))
	defer system.Shutdown()
	if _, err := l.Start(system); err != nil {
		fmt.Println(err)
		return
	}

	ctx := task.WithInfo(context.Background(), &task.Info{JobID: "j-7", JobName: "nightly import"})
	l.Slog().InfoContext(ctx, "sending", "to", "a@example.org")

	if err := l.Stop(context.Background()); err != nil {
		fmt.Println(err)
	}
	l.Slog().Info("after the stop")
	// Output:
	// {"level":"INFO","msg":"sending","service":"mailer","job_id":"j-7","job_name":"nightly import","to":"a@example.org"}
	// {"level":"INFO","msg":"after the stop","service":"mailer","job_id":"unknown","job_name":"unknown"}
}

func ExampleLogger_SetLevel() {
	l, _ := logger.New("mailer", logger.Settings{Level: "warning"}, logger.WithOutput(withoutTime{}))
	log := l.Named("actors/breaker")
	log.Info("below the level")
	l.SetLevel("actors", slog.LevelInfo)
	log.Info("closed")
	// Output:
	// {"level":"INFO","msg":"closed","logger":"actors/breaker","service":"mailer","job_id":"unknown","job_name":"unknown"}
}

func ExampleSettings_redact() {
	l, _ := logger.New("mailer", logger.Settings{Redact: []string{"password"}}, logger.WithOutput(withoutTime{}))
	l.Slog().Info("login", "user", "ann", "request", map[string]string{"Password": "hush"})
	// Output:
	// {"level":"INFO","msg":"login","service":"mailer","job_id":"unknown","job_name":"unknown","user":"ann","request":{"Password":"[REDACTED]"}}
}

func ExampleLogger_Tail() {
	var out bytes.Buffer
	l, _ := logger.New("mailer", logger.Settings{Format: logger.FormatText}, logger.WithOutput(&out))
	l.Slog().Info("one")
	l.Slog().Error("two", "err", errors.New("no route"))
	for _, line := range l.Tail(1) {
		_, rest, _ := strings.Cut(line, "ERROR")
		rest, _, _ = strings.Cut(rest, " logger/")
		fmt.Println(rest)
	}
	// Output:
	// two err="no route" service=mailer
}

func ExampleHTTPRequest() {
	l, _ := logger.New("mailer", logger.Settings{Format: logger.FormatStackdriver, Source: "off"},
		logger.WithOutput(onlyAfter(`"job_name":"unknown"`)))
	l.Slog().Info("served", "request", logger.HTTPRequest{Method: "GET", URL: "/", Status: 200, Latency: 1500 * time.Microsecond})
	// Output:
	// ,"httpRequest":{"requestMethod":"GET","requestUrl":"/","status":200,"latency":"0.0015s"}}
}

type onlyAfter string

func (o onlyAfter) Write(b []byte) (int, error) {
	_, rest, _ := bytes.Cut(b, []byte(o))
	_, _ = os.Stdout.Write(rest)
	return len(b), nil
}
