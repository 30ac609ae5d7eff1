package logger

import (
	"log/slog"
	"strings"
	"testing"
)

type pin struct{ Digits string }

type pinHolder struct{ p pin }

func (h pinHolder) LogValue() slog.Value { return slog.AnyValue(h.p) }

// Each of these came through one of the forms.
func TestRedactionHasNoWayAround(t *testing.T) {
	long := strings.Repeat("k", 100)
	for _, format := range []Format{FormatJSON, FormatStackdriver, FormatText} {
		for name, log := range map[string]func(*slog.Logger){
			"a key that is not ASCII":        func(l *slog.Logger) { l.Info("m", "SENHA_DA_AÇÃO", "hush") },
			"its other case":                 func(l *slog.Logger) { l.Info("m", "senha_da_ação", "hush") },
			"the key in JSON":                func(l *slog.Logger) { l.Info("m", "a", map[string]string{"Senha_Da_Ação": "hush"}) },
			"a long key":                     func(l *slog.Logger) { l.Info("m", long, "hush") },
			"a type":                         func(l *slog.Logger) { l.Info("m", "a", pin{"hush"}) },
			"a pointer to a type":            func(l *slog.Logger) { l.Info("m", "a", &pin{"hush"}) },
			"a type that a LogValuer gives":  func(l *slog.Logger) { l.Info("m", "a", pinHolder{pin{"hush"}}) },
			"a label":                        func(l *slog.Logger) { l.Info("m", "labels", Labels{"Password": "hush"}) },
			"a part of a request":            func(l *slog.Logger) { l.Info("m", "r", HTTPRequest{Method: "GET", UserAgent: "hush"}) },
			"a part by Cloud Logging's name": func(l *slog.Logger) { l.Info("m", "r", HTTPRequest{Method: "GET", Referer: "hush"}) },
			"a request":                      func(l *slog.Logger) { l.Info("m", "password", HTTPRequest{URL: "hush"}) },
			"a group of a call":              func(l *slog.Logger) { l.Info("m", slog.Group("password", "a", "hush")) },
			"a group of WithGroup":           func(l *slog.Logger) { l.WithGroup("password").Info("m", "a", "hush") },
			"a group within one":             func(l *slog.Logger) { l.WithGroup("password").WithGroup("b").Info("m", "a", "hush") },
			"a group with attributes of With": func(l *slog.Logger) {
				l.WithGroup("g").WithGroup("password").With("a", "hush").With("b", "hush").Info("m")
			},
		} {
			out := &sink{}
			l := newLogger(t, Settings{Format: format, Redact: []string{"PASSWORD", "SENHA_DA_AÇÃO", long, "user_agent", "referer"}}, out, WithRedactType(pin{}, nil))
			log(l.Slog())
			got := out.String()
			if strings.Contains(got, "hush") || strings.Count(got, redacted) != 1 {
				t.Errorf("%s: %s: %s", format, name, got)
			}
			if format != FormatText {
				out.lines(t)
			}
			log(l.Slog().With("before", 1))
			if !strings.Contains(out.String(), "before") {
				t.Errorf("%s: %s: %s", format, name, out)
			}
		}
	}
}

type secret string

func TestRedaction(t *testing.T) {
	for _, format := range []Format{FormatJSON, FormatStackdriver, FormatText} {
		out := &sink{}
		l := newLogger(t, Settings{Format: format, Redact: []string{"Password", "api_key"}}, out, WithRedactType(secret("")))
		log := l.Slog().With("password", "hush1")
		log.Info("m", "PASSWORD", "hush2", "token", secret("hush3"),
			slog.Group("g", slog.String("api_key", "hush4"), slog.Group("password", slog.String("x", "hush5"))),
			"req", map[string]any{"user": "u1", "Password": "hush6", "list": []any{map[string]string{"api_key": "hush7"}}},
			"struct", struct {
				Password string
				User     string
			}{"hush8", "u2"})
		line := out.String()
		if strings.Contains(line, "hush") {
			t.Errorf("%s: a secret is in %s", format, line)
		}
		if !strings.Contains(line, "u1") || !strings.Contains(line, "u2") || strings.Count(line, redacted) < 7 {
			t.Errorf("%s: %s", format, line)
		}
	}
}
