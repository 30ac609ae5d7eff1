package logger

import (
	"io"
	"strings"
	"testing"
)

func TestBadSettingsAreAllTold(t *testing.T) {
	_, err := New("s", Settings{
		Level: "loud", Levels: map[string]Level{"x": "quiet"}, Format: "xml", MaxLine: 1, Buffer: 1, Policy: "hope",
		DropBelow: "low", ErrorWait: -1, Source: "maybe", Sampling: Sampling{First: -1, Interval: -1}, Files: []string{""}, Tail: 1,
	})
	if err == nil {
		t.Fatal("no error")
	}
	for _, key := range []string{"log.level:", "log.levels.x:", "log.format:", "log.max_line:", "log.buffer:", "log.policy:", "log.drop_below:",
		"log.error_wait:", "log.source:", "log.sampling:", "log.sampling.interval:", "log.files.0:", "log.tail:"} {
		if !strings.Contains(err.Error(), key) {
			t.Errorf("%s is not reported in: %v", key, err)
		}
	}
	for _, c := range []struct {
		service string
		opt     Option
	}{
		{"", WithOutput(io.Discard)},
		{strings.Repeat("x", 300), WithOutput(io.Discard)},
		{"s", WithOutput(nil)},
		{"s", WithFile("/nowhere/at/all")},
		{"s", WithHook(nil)},
		{"s", func(c *config) {
			WithExtraOutput("twice", io.Discard)(c)
			WithExtraOutput("twice", io.Discard)(c)
		}},
		{"s", WithExtraOutput("x", io.Discard, OutputBuffer(1))},
		{"s", WithExtraOutput("x", io.Discard, OutputPolicy("hope"))},
		{"s", WithExtraOutput("x", io.Discard, OutputFormat("xml"))},
	} {
		if _, err := New(c.service, Settings{}, c.opt); err == nil {
			t.Errorf("service %q: no error", c.service)
		}
	}
	if err := DefaultSettings().Validate(); err != nil {
		t.Errorf("the defaults: %v", err)
	}
	if _, err := (&Logger{}).Start(nil); err == nil {
		t.Error("Start without a system: no error")
	}
}
