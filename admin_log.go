package chassis

import (
	"context"
	"fmt"
	"log/slog"
	"strings"

	"github.com/sambatech/chassis/actors/logger"
	"github.com/sambatech/chassis/admin"
	"github.com/sambatech/chassis/internal/clip"
)

// consoleLog shows the log and sets its levels.
type consoleLog struct{ sys *System }

func (d consoleLog) Tail(n int) []string { return d.sys.log.Tail(n) }

func (d consoleLog) Follow(ctx context.Context, buffer int) <-chan string {
	return d.sys.log.Subscribe(ctx, buffer).Lines()
}

func (d consoleLog) Log() admin.Log {
	stats := d.sys.log.Stats()
	l := admin.Log{Levels: stats.Levels}
	for _, o := range stats.Outputs {
		l.Outputs = append(l.Outputs, admin.LogOutput{Name: o.Name, Format: string(o.Format), Policy: string(o.Policy), Written: o.Written,
			Dropped: o.Dropped, Pending: o.Pending, Bytes: o.Bytes, Errors: o.Errors, Error: o.Error})
	}
	return l
}

// Bounds of the names that have a level of their own by an operator's command.
// A name is kept until it is given back.
const (
	maxLevelNames = 1000
	maxLevelName  = 256 // bytes
)

func (d consoleLog) SetLevel(name, level string) error {
	if clip.ID(name) != name {
		return fmt.Errorf("%w: the logger's name has %d bytes, or unprintable ones: want at most %d bytes of printable text", admin.ErrInvalid, len(name), maxLevelName)
	}
	if strings.TrimSpace(level) == "" {
		if name == "" {
			return fmt.Errorf("%w: the root's level cannot be given back: nothing is above it", admin.ErrInvalid)
		}
		d.sys.log.UnsetLevel(name)
		return nil
	}
	l, err := logger.Level(level).Parse(slog.LevelInfo)
	if err != nil {
		return fmt.Errorf("%w: %w", admin.ErrInvalid, err)
	}
	levels := d.sys.log.Levels()
	if _, known := levels[name]; !known && len(levels) >= maxLevelNames {
		return fmt.Errorf("%w: %d logger names have a level of their own already: give some back", admin.ErrNotNow, len(levels))
	}
	d.sys.log.SetLevel(name, l)
	return nil
}
