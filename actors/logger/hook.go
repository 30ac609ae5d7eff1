package logger

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
)

// callHooks passes the record on. What one hook does is no other's concern.
func (h *handler) callHooks(ctx context.Context, r slog.Record) error {
	var errs []error
	for _, hook := range h.hooks {
		if err := callHook(ctx, hook, r); err != nil {
			h.l.hookErrors.Add(1)
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func callHook(ctx context.Context, hook slog.Handler, r slog.Record) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("logger: hook %T panicked: %v", hook, p)
		}
	}()
	if !hook.Enabled(ctx, r.Level) {
		return nil
	}
	return hook.Handle(ctx, r.Clone())
}
