package watch

import (
	"context"
	"time"

	"github.com/sambatech/chassis/settings"
)

// StartWithin is Start with shorter times.
func StartWithin[T any](ctx context.Context, settle, rest time.Duration, defaults T, notify func(Update[T]), options ...settings.Option) (*Watcher[T], error) {
	return start(ctx, times{settle: settle, rest: rest, again: usual.again}, nil, defaults, notify, options)
}
