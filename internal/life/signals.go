package life

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
)

// Signals returns the contexts of a service that obeys SIGTERM and SIGINT. The
// first signal ends serving, as the end of ctx does. The second ends stopping,
// which cuts the drain short. ended is closed at the end of the service; done is
// called after it and gives the signals back. A log that waits for its output
// delays the second signal: give one that does not.
func Signals(ctx context.Context, ended <-chan struct{}, log *slog.Logger) (
	serving, stopping context.Context, done func(),
) {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	serving, end := context.WithCancelCause(ctx)
	stopping, cut := context.WithCancel(context.WithoutCancel(ctx))
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		select {
		case sig := <-signals:
			end(fmt.Errorf("signal: %v", sig)) // before the log, which may wait for its output
			log.Info("draining", "signal", sig.String())
		case <-serving.Done():
		case <-ended:
		}
		select {
		case sig := <-signals:
			cut()
			log.Warn("the drain is cut short", "signal", sig.String())
		case <-ended:
		}
	}()
	return serving, stopping, func() {
		signal.Stop(signals)
		end(nil)
		cut()
		select {
		case <-ended:
			<-watched
		default: // the service panicked
		}
	}
}
