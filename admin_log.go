package chassis

import (
	"context"
	"fmt"
	"log/slog"
	"strings"

	"github.com/sambatech/chassis/actors/logger"
	"github.com/sambatech/chassis/admin"
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

func (d consoleLog) SetLevel(name, level string) error {
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
	d.sys.log.SetLevel(name, l)
	return nil
}
