package main

import (
	"strings"
	"testing"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/settings"
)

func TestTheFileIsRight(t *testing.T) {
	cfg, _, err := chassis.Load(defaults(), settings.File("chassis.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Database.URL != "data/orders.db" || cfg.Report.To != "accounts@shop.test" || cfg.Queue.Path != "data/queue.db" {
		t.Errorf("it is %+v, %+v, %s", cfg.Database, cfg.Report, cfg.Queue.Path)
	}
}

func TestMistakesInSettings(t *testing.T) {
	for text, want := range map[string]string{
		"listen: nowhere":                   "listen",
		"database: {url: ''}":               "database.url",
		"payments: {url: http://pay.test}":  "set both",
		"mail: {url: mail.test}":            "mail.url",
		"report: {to: ''}":                  "report.to",
		"report: {too: accounts@shop.test}": "did you mean to?",
	} {
		_, _, err := chassis.Load(defaults(), settings.Bytes("test.yaml", settings.YAML, []byte(text)))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}
