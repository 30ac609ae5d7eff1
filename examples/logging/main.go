// Logging writes the same records in each of the forms.
//
//	go run ./examples/logging
//
// See one record as text, as JSON and as Google Cloud Logging reads it; inside
// a task it carries the job, by the ctx of the very call.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"os"

	"github.com/sambatech/chassis/actors/logger"
	"github.com/sambatech/chassis/task"
)

func main() {
	if err := run(os.Stdout); err != nil {
		log.Fatal(err)
	}
}

func run(out io.Writer) error {
	// The chassis gives every attempt a ctx like this one.
	ctx := task.WithInfo(context.Background(),
		&task.Info{Task: "welcome", ExecID: "5f0c3c1e", JobID: "42", JobName: "sign-up", Attempt: 2})

	for _, format := range []logger.Format{logger.FormatText, logger.FormatJSON, logger.FormatStackdriver} {
		l, err := logger.New("mailer", logger.Settings{
			Format: format,
			Levels: map[string]logger.Level{"mail/templates": "debug"},
			Redact: []string{"password"},
		}, logger.WithOutput(out))
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "--- %s\n", format)
		l.Slog().InfoContext(ctx, "sending", "to", "zoë@example.org", "password", "hunter2")
		l.Slog().Debug("this is not shown: the level is info")
		l.Named("mail/templates").Debug("this one has a level of its own",
			slog.Group("template", "name", "welcome", "lines", 12))
		l.Slog().ErrorContext(ctx, "not sent", "error", errors.New("connection refused"))
		if err := l.Stop(context.Background()); err != nil {
			return err
		}
	}
	return nil
}
