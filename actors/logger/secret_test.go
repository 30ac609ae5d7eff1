package logger_test

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"github.com/sambatech/chassis/actors/logger"
	"github.com/sambatech/chassis/settings"
)

// TestSecretsOfTheSettingsAreNeverWritten: by themselves, in a struct, behind
// a pointer, in a map, in a With and in an error's text made with them.
func TestSecretsOfTheSettingsAreNeverWritten(t *testing.T) {
	key := settings.NewSecret("hush")
	type config struct {
		User string
		Key  settings.Secret[string]
	}
	for _, format := range []logger.Format{logger.FormatJSON, logger.FormatStackdriver, logger.FormatText} {
		var out bytes.Buffer
		l, err := logger.New("s", logger.Settings{Format: format}, logger.WithOutput(&out))
		if err != nil {
			t.Fatal(err)
		}
		l.Slog().With("key", key).Error("m", "key2", &key, "config", config{"ann", key}, "pointer", &config{"ann", key},
			"map", map[string]any{"k": key}, "list", []settings.Secret[string]{key},
			"err", fmt.Errorf("with %v: %w", key, errors.New("cause")))
		if bytes.Contains(out.Bytes(), []byte("hush")) {
			t.Errorf("%s: %s", format, out.Bytes())
		}
		if bytes.Count(out.Bytes(), []byte("ann")) != 2 {
			t.Errorf("%s: what is no secret is gone: %s", format, out.Bytes())
		}
	}
}
