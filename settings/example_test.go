package settings_test

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"time"

	"github.com/sambatech/chassis/settings"
)

type Mail struct {
	From    string                  `rule:"required" doc:"sender address"`
	Workers int                     `rule:"min=1,max=64" doc:"mails sent at once" live:"true"`
	Timeout time.Duration           `rule:"min=1s" doc:"a bare number is seconds"`
	Token   settings.Secret[string] `doc:"token of the relay"`
}

var mailDefaults = Mail{Workers: 4, Timeout: 30 * time.Second}

func ExampleLoad() {
	cfg, err := settings.Load(mailDefaults,
		settings.Bytes("mail.yaml", settings.YAML, []byte("from: a@example.org\ntimeout: 90\ntoken: s3cr3t\n")),
		settings.Environ("MAIL", []string{"MAIL_WORKERS=8"}))
	fmt.Println(cfg.From, cfg.Workers, cfg.Timeout, cfg.Token, err)
	// Output: a@example.org 8 1m30s [secret] <nil>
}

func ExampleLoad_mistakes() {
	_, err := settings.Load(mailDefaults,
		settings.Bytes("mail.yaml", settings.YAML, []byte("form: a@example.org\nworkers: four\ntimeout: 5 minutes\n")),
		settings.Environ("MAIL", []string{"MAIL_TOKN=x"}))
	fmt.Println(err)
	// Output:
	// MAIL_TOKN: tokn: unknown setting; did you mean MAIL_TOKEN?
	// mail.yaml: from: is required (a string) and nothing gives it; it may also be set by MAIL_FROM
	// mail.yaml:1:1: form: unknown key; did you mean from?
	// mail.yaml:2:10: workers: expected a whole number, found the string "four"
	// mail.yaml:3:10: timeout: expected a duration like 90s or 1m30s, found the string "5 minutes"; did you mean 5m?
}

// Two layouts read one file: each leaves the other's sections alone, and what
// neither knows is reported in the end.
func ExampleDecode() {
	tree, err := settings.Open(settings.Bytes("service.yaml", settings.YAML, []byte("tasks: {workers: 4}\nrecipients: [a]\nfirst: .recipients.0\nlegacy: 1\n")))
	if err != nil {
		fmt.Println(err)
		return
	}
	type chassis struct{ Tasks struct{ Workers int } }
	type own struct {
		Recipients []string
		First      string
	}
	c, err := settings.Decode(tree, chassis{}, settings.Shared())
	fmt.Println(c.Tasks.Workers, err)
	o, err := settings.Decode(tree, own{}, settings.Shared())
	fmt.Println(o.First, err)
	fmt.Println(tree.Unclaimed())
	// Output:
	// 4 <nil>
	// a <nil>
	// service.yaml:4:1: legacy: no layout knows this key
}

func ExampleLayout_Explain() {
	layout, err := settings.LayoutOf(mailDefaults)
	if err != nil {
		fmt.Println(err)
		return
	}
	entries, err := layout.Explain(
		settings.Bytes("mail.yaml", settings.YAML, []byte("from: a@example.org\nworkers: 8\ntoken: s3cr3t\n")),
		settings.Environ("MAIL", []string{"MAIL_WORKERS=16"}))
	if err != nil {
		fmt.Println(err)
		return
	}
	_ = settings.WriteExplain(os.Stdout, entries)
	// Output:
	// from = a@example.org  # mail.yaml:1:7
	// workers = 16          # MAIL_WORKERS
	//     over 8  # mail.yaml:2:10
	//     over 4  # default
	// timeout = 30s         # default
	// token = [secret]      # mail.yaml:3:8
}

func ExampleLayout_Example() {
	layout, _ := settings.LayoutOf(mailDefaults)
	text, err := layout.Example(settings.YAML, "MAIL")
	fmt.Println(string(text), err)
	// Output:
	// # sender address
	// # string, required, MAIL_FROM
	// from:
	//
	// # mails sent at once
	// # whole number, must be at least 1, must be at most 64, may change live, MAIL_WORKERS
	// #workers: 4
	//
	// # a bare number is seconds
	// # duration like 90s or 1m30s, must be at least 1s, MAIL_TIMEOUT
	// #timeout: "30s"
	//
	// # token of the relay
	// # string, secret, MAIL_TOKEN
	// #token:
	//  <nil>
}

func ExampleNewLayout() {
	layout, err := settings.NewLayout(
		settings.Item{Name: "tasks.pool", Type: reflect.TypeFor[string](), Rules: "lower"},
		settings.Item{Name: "tasks.timeout", Default: 120 * time.Second, Rules: "min=1s"},
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	values, err := layout.Load(settings.Bytes("s.json", settings.JSON, []byte(`{"tasks": {"pool": "mail"}}`)))
	if err != nil {
		fmt.Println(err)
		return
	}
	timeout, err := settings.Get[time.Duration](values, "tasks.timeout")
	fmt.Println(timeout, err)
	// Output: 2m0s <nil>
}

func ExampleCheck() {
	type pool struct{ Workers, MaxWorkers int }
	_, err := settings.Load(pool{Workers: 3, MaxWorkers: 6},
		settings.Bytes("p.yaml", settings.YAML, []byte("workers: 9\n")),
		settings.Check(func(p *pool) error {
			if p.Workers > p.MaxWorkers {
				return settings.At("workers", errors.New("must not be above max_workers"))
			}
			return nil
		}))
	fmt.Println(err)
	// Output: p.yaml:1:10: workers: must not be above max_workers
}

func ExampleRequireEnv() {
	port, err := settings.RequireEnv("EXAMPLE_UNSET_PORT", new(8080), "port")
	fmt.Println(port, err)
	_, err = settings.RequireEnv[string]("EXAMPLE_UNSET_TOKEN", nil)
	fmt.Println(err)
	// Output:
	// 8080 <nil>
	// EXAMPLE_UNSET_TOKEN: the variable is required (a string) and is not set
}

func ExampleDiff() {
	for _, c := range settings.Diff(Mail{Workers: 4}, Mail{Workers: 8, From: "b@example.org"}) {
		fmt.Printf("%s: %q to %q, live: %v\n", c.Path, c.Old, c.New, c.Live)
	}
	// Output:
	// from: "" to "b@example.org", live: false
	// workers: "4" to "8", live: true
}
