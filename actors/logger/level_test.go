package logger

import (
	"context"
	"log/slog"
	"testing"
)

func TestLevelNames(t *testing.T) {
	for in, want := range map[string]slog.Level{
		"debug": slog.LevelDebug, "INFO": slog.LevelInfo, " Warning ": slog.LevelWarn, "warn": slog.LevelWarn, "error": slog.LevelError,
		"notice": LevelNotice, "critical": LevelCritical, "fatal": LevelCritical, "alert": LevelAlert, "emergency": LevelEmergency,
		"INFO+1": 1, "-2": -2, "": slog.LevelWarn,
	} {
		var l Level
		if err := l.UnmarshalText([]byte(in)); err != nil {
			t.Errorf("%q: %v", in, err)
		}
		if got, _ := l.Parse(slog.LevelWarn); got != want {
			t.Errorf("%q is %v, want %v", in, got, want)
		}
	}
	var l Level
	if err := l.UnmarshalText([]byte("loud")); err == nil || l != "" {
		t.Errorf("loud: %v, %q", err, l)
	}
	if got := LevelOf(slog.LevelWarn); got != "warning" {
		t.Errorf("LevelOf(Warn) is %q", got)
	}
}

func TestLevelsByNameLive(t *testing.T) {
	out := &sink{}
	l := newLogger(t, Settings{Level: "warn", Levels: map[string]Level{"actors/breaker": "debug"}}, out)
	breaker, tree, poller := l.Named("actors/breaker"), l.Named("actors/breaker/tree"), l.Named("actors/poller")
	ctx := context.Background()
	check := func(log *slog.Logger, level slog.Level, want bool) {
		t.Helper()
		if got := log.Enabled(ctx, level); got != want {
			t.Errorf("enabled at %v is %v, want %v", level, got, want)
		}
	}
	check(breaker, slog.LevelDebug, true)
	check(tree, slog.LevelDebug, true)
	check(poller, slog.LevelInfo, false)
	l.SetLevel("actors", slog.LevelInfo)
	check(poller, slog.LevelInfo, true)
	check(breaker, slog.LevelDebug, true)
	l.UnsetLevel("actors/breaker")
	check(tree, slog.LevelDebug, false)
	check(tree, slog.LevelInfo, true)
	l.SetLevel("", slog.LevelError)
	check(l.Slog(), slog.LevelWarn, false)
	poller.Info("named")
	if got := out.last(t)["logger"]; got != "actors/poller" {
		t.Errorf("logger = %v", got)
	}
}
