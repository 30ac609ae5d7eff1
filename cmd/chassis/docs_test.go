package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/admin"
	"github.com/sambatech/chassis/server"
	"github.com/sambatech/chassis/settings"
)

var block = regexp.MustCompile("(?ms)^```(sh|yaml)\n(.*?)^```$")

// pages are the README and all of docs/.
func pages(t *testing.T) []string {
	t.Helper()
	found, err := filepath.Glob("../../docs/*.md")
	if err != nil || len(found) == 0 {
		t.Fatalf("no pages: %v", err)
	}
	return append(found, "../../README.md")
}

func blocks(t *testing.T, page, language string) []string {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, b := range block.FindAllStringSubmatch(string(text), -1) {
		if b[1] == language {
			all = append(all, b[2])
		}
	}
	return all
}

// Every command line of ours in the docs is one that the command takes.
func TestEveryCommandOfTheDocsIsOne(t *testing.T) {
	n := 0
	for _, page := range pages(t) {
		for _, text := range blocks(t, page, "sh") {
			for line := range strings.Lines(text) {
				words := shellWords(line)
				if len(words) == 0 || words[0] != "chassis" {
					continue
				}
				n++
				a := &app{in: strings.NewReader(""), out: &bytes.Buffer{}, err: &bytes.Buffer{}}
				c, args, err := a.command().Find(words[1:])
				if err == nil {
					err = c.ParseFlags(args)
				}
				if err == nil {
					err = c.ValidateArgs(c.Flags().Args())
				}
				if err == nil && c.HasSubCommands() {
					t.Errorf("%s: %q is a group of commands, not one", page, line)
				}
				if err != nil {
					t.Errorf("%s: %q: %v", page, line, err)
				}
			}
		}
	}
	if n < 10 {
		t.Fatalf("only %d command lines found: this test no longer sees the pages", n)
	}
}

// shellWords divides a line as a shell does, as far as the docs need it:
// blanks, both kinds of quotes, and comments.
func shellWords(line string) []string {
	var words []string
	for _, w := range regexp.MustCompile(`'[^']*'|"[^"]*"|\S+`).FindAllString(line, -1) {
		if strings.HasPrefix(w, "#") {
			break
		}
		words = append(words, strings.Trim(w, `'"`))
	}
	return words
}

// Every settings file in the docs loads.
func TestEverySettingsFileOfTheDocsLoads(t *testing.T) {
	n := 0
	for _, page := range pages(t) {
		for _, text := range blocks(t, page, "yaml") {
			if strings.Contains(text, "apiVersion:") {
				continue // Kubernetes': see deploy/
			}
			n++
			if _, err := chassis.LoadSettings(settings.Bytes(filepath.Base(page), settings.YAML, []byte(text))); err != nil {
				t.Errorf("%s: %v\n%s", page, err, text)
			}
		}
	}
	if n < 4 {
		t.Fatalf("only %d settings files found: this test no longer sees the pages", n)
	}
}

// Every metric that the docs name is one of ours.
func TestEveryMetricOfTheDocsIsThere(t *testing.T) {
	serving := &described{}
	server.Middleware(nil, server.WithRegisterer(serving), server.WithShedding(server.Limits{}))
	names, n := append(admin.MetricNames(), serving.names...), 0
	names = append(names, "chassis_outbox", "chassis_outbox_slots", "chassis_envelope") // tables of task/outbox, and a member of a body
	metric := regexp.MustCompile(`\bchassis_[a-z_]+\b`)
	for _, page := range pages(t) {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range metric.FindAllString(string(text), -1) {
			if n++; !slices.Contains(names, name) {
				t.Errorf("%s names the metric %s, which there is not", page, name)
			}
		}
	}
	if n < 5 {
		t.Fatalf("only %d metrics found: this test no longer sees the pages", n)
	}
}

// described is a registry that keeps the names of metrics.
type described struct {
	prometheus.Registerer
	names []string
}

func (d *described) Register(c prometheus.Collector) error {
	all := make(chan *prometheus.Desc, 100)
	c.Describe(all)
	close(all)
	for desc := range all {
		d.names = append(d.names, regexp.MustCompile(`fqName: "([^"]+)"`).FindStringSubmatch(desc.String())[1])
	}
	return nil
}

func (d *described) MustRegister(all ...prometheus.Collector) {
	for _, c := range all {
		_ = d.Register(c)
	}
}

// Every link between pages leads somewhere.
func TestEveryLinkOfTheDocsLeadsSomewhere(t *testing.T) {
	link := regexp.MustCompile(`\]\(([A-Za-z0-9._/-]+)(#[^)]*)?\)`)
	code := regexp.MustCompile("(?s)\n```.*?\n```")
	for _, page := range append(pages(t), "../../deploy/README.md") {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range link.FindAllStringSubmatch(code.ReplaceAllString(string(text), ""), -1) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(page), m[1])); err != nil {
				t.Errorf("%s: %v", page, err)
			}
		}
	}
}
