package e2e

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/health"
	"github.com/sambatech/chassis/task"
)

// The page shows checks and parts, and which check pauses the tasks.
func TestThePageShowsChecksAndParts(t *testing.T) {
	var down atomic.Bool
	set := chassis.DefaultSettings()
	set.Admin.Listen = "127.0.0.1:0"
	sys, err := chassis.New("shop", chassis.WithSettings(set), chassis.WithLogOutput(io.Discard), chassis.WithoutDefaultLogger())
	if err != nil {
		t.Fatal(err)
	}
	sys.Check("postgres", func(context.Context) error {
		if down.Load() {
			return errors.New("dial tcp 10.0.0.7:5432: connection refused")
		}
		return nil
	}, health.Every(200*time.Millisecond), health.ForReadiness(), health.ForTasks())
	sys.Check("search", func(context.Context) error { return errors.New("no route to host") }, health.ForInformation())
	sys.Serve(&http.Server{Addr: "127.0.0.1:0"})
	sys.Go("import", func(context.Context) error { return nil })
	chassis.Handle(sys, task.Define[mail]("welcome"), func(context.Context, task.Job[mail]) error { return nil })
	if err := sys.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := sys.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	b := browse(t, sys.AdminURL())
	for _, look := range []struct {
		name          string
		width, height int64
		theme         string
	}{{"light", 1360, 900, "light"}, {"phone-dark", 390, 844, "dark"}} {
		b.look(look.width, look.height, look.theme)
		b.show("overview")
		down.Store(false)
		b.until("a check that passes", b.hasText("#view-overview", "passes"))
		b.until("one for information", b.hasText("#view-overview", "no route to host"))
		b.until("the server", b.hasText("#view-overview", "http on 127.0.0.1:"))
		b.until("a part that has ended", b.hasText("#view-overview", "ended"))
		down.Store(true)
		b.until("a check that fails", b.hasText("#view-overview", "connection refused"))
		b.until("the pause", b.hasText("#view-overview", "paused by postgres"))
		b.until("the reason", b.hasText("#banner", "Not ready: check postgres"))
		b.picture("page-checks-" + look.name)
		b.show("tasks")
		b.until("what pauses the pool", b.hasText("#view-tasks .held", "No task starts: the check postgres fails."))
		b.until("no button that ends it", b.hasText("#view-tasks .row button", "Pause the pool"))
		down.Store(false)
		b.until("the end of the pause", `document.querySelector('#view-tasks .held').hidden`)
	}
}
