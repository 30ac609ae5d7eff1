package console

import (
	"context"
	"errors"
	"fmt"

	"github.com/sambatech/chassis/actors/pools"
	"github.com/sambatech/chassis/actors/schedules"
	"github.com/sambatech/chassis/admin"
)

// times implements [admin.Schedules].
type times struct{ pools *pools.Pools }

func (t times) Schedules() []schedules.Status { return t.pools.Schedules() }

func (t times) SendNow(ctx context.Context, name string) (string, error) {
	id, err := t.pools.SendNow(ctx, name)
	return id, ofSchedule(err)
}

func (t times) Pause(ctx context.Context, name string, on bool) error {
	return ofSchedule(t.pools.PauseSchedule(ctx, name, on))
}

func ofSchedule(err error) error {
	if errors.Is(err, schedules.ErrUnknown) || errors.Is(err, pools.ErrNoSchedules) {
		return fmt.Errorf("%w: %w", admin.ErrNotFound, err)
	}
	return err
}
