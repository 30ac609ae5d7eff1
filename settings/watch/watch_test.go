package watch_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sambatech/chassis/settings"
	"github.com/sambatech/chassis/settings/watch"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type layout struct {
	Workers int `rule:"min=1" live:"true"`
	Pool    string
	Pair    [2]int
}

// started runs a watcher that sends its updates to the channel.
func started(t *testing.T, options ...settings.Option) (*watch.Watcher[layout], chan watch.Update[layout]) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	updates := make(chan watch.Update[layout], 100)
	w, err := watch.StartWithin(ctx, 50*time.Millisecond, time.Second, layout{Workers: 1}, func(u watch.Update[layout]) { updates <- u }, options...)
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		w.Wait()
	})
	return w, updates
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func next(t *testing.T, updates chan watch.Update[layout]) watch.Update[layout] {
	t.Helper()
	select {
	case u := <-updates:
		return u
	case <-time.After(20 * time.Second):
		t.Fatal("no update came")
		panic("unreachable")
	}
}

func TestAFileThatChangesGivesANewValueAndWhatChanged(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.yaml")
	write(t, path, "workers: 2\npool: a\n")
	w, updates := started(t, settings.File(path))
	first := w.Current()
	write(t, path, "workers: 3\npool: b\n")
	u := next(t, updates)
	if u.Err != nil || u.Old != first || u.New != w.Current() || u.New.Workers != 3 || first.Workers != 2 {
		t.Errorf("got %+v", u)
	}
	want := []settings.Change{{Path: "workers", Old: "2", New: "3", Live: true}, {Path: "pool", Old: "a", New: "b"}}
	if fmt.Sprint(u.Changes) != fmt.Sprint(want) || fmt.Sprint(u.NeedsRestart()) != fmt.Sprint(want[1:]) {
		t.Errorf("got %+v", u.Changes)
	}
}

func TestABadFileChangesNothingAndIsReportedOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.yaml")
	write(t, path, "workers: 2\n")
	w, updates := started(t, settings.File(path))
	before := w.Current()
	for _, bad := range []string{"workers: 0\n", "workers: [\n", "wrkers: 3\n"} {
		write(t, path, bad)
		u := next(t, updates)
		if u.Err == nil || u.New != before || len(u.Changes) != 0 || w.Current() != before {
			t.Errorf("%q: got %+v", bad, u)
		}
		if again, err := w.Reload(t.Context()); err != nil || again.Err == nil {
			t.Errorf("got %+v, %v", again, err)
		}
	}
	if len(updates) != 0 {
		t.Errorf("the same error was reported again: %v", <-updates)
	}
	if s := w.Stats(); s.Failures < 6 || !strings.Contains(s.LastError, "did you mean workers?") {
		t.Errorf("got %+v", s)
	}
	write(t, path, "workers: 2\n")
	if u := next(t, updates); u.Err != nil || len(u.Changes) != 0 {
		t.Errorf("an error that is over is not reported: got %+v", u)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if u := next(t, updates); u.Err == nil || w.Current() != before {
		t.Errorf("a file that goes away is an error: got %+v", u)
	}
}

func TestAKubernetesConfigMapSwap(t *testing.T) {
	dir := t.TempDir()
	publish := func(version, text string) {
		must(t, os.Mkdir(filepath.Join(dir, version), 0o700))
		write(t, filepath.Join(dir, version, "a.yaml"), text)
		must(t, os.Symlink(version, filepath.Join(dir, "..data_tmp")))
		must(t, os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")))
	}
	publish("..2026_1", "workers: 2\n")
	must(t, os.Symlink(filepath.Join("..data", "a.yaml"), filepath.Join(dir, "a.yaml")))
	w, updates := started(t, settings.File(filepath.Join(dir, "a.yaml")))
	for i := 3; i < 6; i++ {
		publish(fmt.Sprint("..2026_", i), fmt.Sprintf("workers: %d\n", i))
		must(t, os.RemoveAll(filepath.Join(dir, fmt.Sprint("..2026_", i-1))))
		if u := next(t, updates); u.Err != nil || w.Current().Workers != i {
			t.Errorf("got %+v", u)
		}
	}
}

func TestAnEditorThatPutsANewFileOverTheOld(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.yaml")
	write(t, path, "workers: 2\n")
	w, updates := started(t, settings.OptionalFile(path))
	for i := 3; i < 6; i++ {
		write(t, path+"~", fmt.Sprintf("workers: %d\n", i))
		must(t, os.Rename(path+"~", path))
		if u := next(t, updates); u.Err != nil || w.Current().Workers != i {
			t.Errorf("got %+v", u)
		}
	}
}

func TestAFileAndAProfileThatComeLater(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.yaml")
	w, updates := started(t, settings.OptionalFile(path), settings.DotEnv("APP", filepath.Join(dir, ".env")))
	write(t, path, "workers: 2\n")
	if u := next(t, updates); u.Err != nil || w.Current().Workers != 2 {
		t.Errorf("got %+v", u)
	}
	write(t, filepath.Join(dir, ".env"), "APP_WORKERS=3\n")
	if u := next(t, updates); u.Err != nil || w.Current().Workers != 3 {
		t.Errorf("got %+v", u)
	}
}

func TestABadFirstLoadStartsNothing(t *testing.T) {
	_, err := watch.Start(t.Context(), layout{}, nil, settings.Bytes("a.yaml", settings.YAML, []byte("workers: 0")))
	if err == nil || !strings.Contains(err.Error(), "a.yaml:1:10: workers: must be at least 1") {
		t.Errorf("got %v", err)
	}
}

func TestReloadAfterTheEnd(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	w, err := watch.Start(ctx, layout{Workers: 1}, nil)
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	w.Wait()
	if _, err := w.Reload(t.Context()); err == nil {
		t.Error("an ended watcher reloaded")
	}
}

// TestReadsWhileReloading is for the race detector: each reader must
// see one value or another, whole, and never an older one after a newer.
func TestReadsWhileReloading(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.yaml")
	write(t, path, "workers: 1\npair: [1, 1]\n")
	ctx, cancel := context.WithCancel(t.Context())
	w, err := watch.Start(ctx, layout{Workers: 1}, nil, settings.File(path))
	must(t, err)
	defer w.Wait()
	defer cancel()
	const readers, reads = 4, 250_000
	var wg sync.WaitGroup
	var stop atomic.Bool
	for range readers {
		wg.Go(func() {
			last := 0
			for range reads {
				v := w.Current()
				if v.Workers != v.Pair[0] || v.Pair[0] != v.Pair[1] || v.Workers < last {
					t.Errorf("read %+v after %d", *v, last)
					return
				}
				last = v.Workers
			}
		})
	}
	var reloads sync.WaitGroup
	reloads.Go(func() {
		for i := 2; !stop.Load(); i++ {
			text := fmt.Sprintf("workers: %d\npair: [%d, %d]\n", i, i, i)
			if i%5 == 0 {
				text = "workers: [" // a bad one now and then
			}
			err := errors.Join(os.WriteFile(path+"~", []byte(text), 0o600), os.Rename(path+"~", path))
			if _, reloadErr := w.Reload(t.Context()); err != nil || reloadErr != nil {
				t.Error(err, reloadErr)
				return
			}
		}
	})
	wg.Wait()
	stop.Store(true)
	reloads.Wait()
	if s := w.Stats(); s.Changed == 0 {
		t.Errorf("nothing was reloaded during the reads: %+v", s)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
