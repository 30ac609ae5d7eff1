package console

import (
	"context"
	"fmt"
	"log/slog"
	"strings"

	"github.com/sambatech/chassis/actors/logger"
	"github.com/sambatech/chassis/admin"
	"github.com/sambatech/chassis/internal/clip"
)

// logs implements [admin.Logs].
type logs struct{ *logger.Logger }

func (d logs) Follow(ctx context.Context, buffer int) <-chan string {
	return d.Subscribe(ctx, buffer).Lines()
}

// Bounds of the names that have a level of their own by an operator's command.
// A name is kept until it is given back.
const (
	maxLevelNames = 1000
	maxLevelName  = 256 // bytes
)

func (d logs) SetLevel(name, level string) error {
	if clip.ID(name) != name {
		return fmt.Errorf("%w: the logger's name has %d bytes, or unprintable ones: want at most %d bytes of "+
			"printable text", admin.ErrInvalid, len(name), maxLevelName)
	}
	if strings.TrimSpace(level) == "" {
		if name == "" {
			return fmt.Errorf("%w: the root's level cannot be given back: nothing is above it", admin.ErrInvalid)
		}
		d.UnsetLevel(name)
		return nil
	}
	l, err := logger.Level(level).Parse(slog.LevelInfo)
	if err != nil {
		return fmt.Errorf("%w: %w", admin.ErrInvalid, err)
	}
	levels := d.Levels()
	if _, known := levels[name]; !known && len(levels) >= maxLevelNames {
		return fmt.Errorf("%w: %d logger names have a level of their own already: give some back", admin.ErrNotNow,
			len(levels))
	}
	d.Logger.SetLevel(name, l)
	return nil
}
