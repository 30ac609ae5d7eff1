// Settings returns a service a section of its own next to those of the chassis.
//
//	go run ./examples/settings
//
// It prints all mistakes of a file at once, each at its place; then the values
// in force and where each came from, the secret not shown.
package main

import (
	"fmt"
	"io"
	"log"
	"os"
	"time"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/settings"
)

// Config is the whole file: the chassis' sections, and mail.
type Config struct {
	chassis.Settings
	Mail Mail
}

type Mail struct {
	From    string                  `rule:"required" doc:"sender address"`
	Batch   int                     `rule:"min=1,max=64" doc:"mails sent at once"`
	Timeout time.Duration           `rule:"min=1s" doc:"a bare number is seconds"`
	Token   settings.Secret[string] `doc:"token of the relay"`
}

func defaults() Config {
	return Config{Settings: chassis.DefaultSettings(), Mail: Mail{Batch: 4, Timeout: 30 * time.Second}}
}

const wrong = `mail:
  form: a@example.org
  batch: 100
tasks:
  workers: many
`

const right = `mail:
  from: a@example.org
  timeout: 90
tasks:
  workers: 8
`

func main() {
	if err := run(os.Stdout); err != nil {
		log.Fatal(err)
	}
}

func run(out io.Writer) error {
	_, err := settings.Load(defaults(), settings.Bytes("chassis.yaml", settings.YAML, []byte(wrong)))
	fmt.Fprintln(out, err)

	sources := []settings.Option{
		settings.Bytes("chassis.yaml", settings.YAML, []byte(right)),
		settings.Environ("CHASSIS", []string{"CHASSIS_MAIL__TOKEN=s3cret", "CHASSIS_TASKS__WORKERS=16"}),
	}
	cfg, err := settings.Load(defaults(), sources...)
	if err != nil {
		return err
	}
	fmt.Fprintln(out, "\ntoken in the log:", cfg.Mail.Token, "- in use:", len(cfg.Mail.Token.Reveal()), "characters")
	layout, err := settings.LayoutOf(defaults())
	if err != nil {
		return err
	}
	entries, err := layout.Explain(sources...)
	for _, e := range entries {
		if !e.Default {
			fmt.Fprintf(out, "%s = %s from %s\n", e.Path, e.Value, e.Source)
		}
	}
	return err
}
