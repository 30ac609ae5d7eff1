package watch_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sambatech/chassis/settings"
	"github.com/sambatech/chassis/settings/watch"
)

// shelf is a store that a test changes.
type shelf struct {
	mu    sync.Mutex
	has   map[string]settings.Found
	watch func(context.Context, func(error))
	news  chan error
}

func newShelf() *shelf { return &shelf{has: map[string]settings.Found{}, news: make(chan error)} }

func (s *shelf) Schemes() []string { return []string{"s"} }

func (s *shelf) Read(_ context.Context, addresses []string) (out []settings.Found) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range addresses {
		out = append(out, s.has[a])
	}
	return out
}

func (s *shelf) put(address, version, value string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.has[address] = settings.Found{Version: version, Format: settings.YAML, Data: []byte(value)}
}

func (s *shelf) Watch(ctx context.Context, notify func(error)) {
	if s.watch != nil {
		s.watch(ctx, notify)
		return
	}
	for {
		select {
		case err := <-s.news:
			notify(err)
		case <-ctx.Done():
			return
		}
	}
}

type shelved struct {
	A int `rule:"max=9" live:"true"`
	B int
}

// said is what a watcher has notified of, one line each.
type said struct {
	mu    sync.Mutex
	lines []string
}

func (s *said) note(u watch.Update[shelved]) {
	s.mu.Lock()
	defer s.mu.Unlock()
	line := ""
	for _, c := range u.Changes {
		line += c.Path + " " + c.Old + "→" + c.New + " "
	}
	if u.Err != nil {
		line += u.Err.Error()
	}
	s.lines = append(s.lines, strings.TrimSpace(line))
}

func (s *said) take() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	lines := s.lines
	s.lines = nil
	return lines
}

func TestStoreAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		s, heard := newShelf(), &said{}
		s.put("s:doc", "v1", "a: 1\nb: 2")
		w, err := watch.Start(ctx, shelved{}, heard.note, settings.From(s, "s:doc"))
		if err != nil {
			t.Fatal(err)
		}
		expect := func(err error, want ...string) {
			t.Helper()
			s.news <- err
			synctest.Wait()
			if got := heard.take(); !slices.Equal(got, want) {
				t.Errorf("got %q, want %q", got, want)
			}
		}
		expect(nil) // nothing has changed
		s.put("s:doc", "v2", "a: 3\nb: 2")
		expect(nil, "a 1→3")
		expect(errors.New("no route"), "a store of settings cannot be read: no route")
		if got := w.Stats(); got.LastError != "no route" || got.Failures != 1 {
			t.Errorf("%+v", got)
		}
		expect(nil, "") // it is over, and nothing has changed
		expect(errors.New("no route"), "a store of settings cannot be read: no route")
		s.put("s:doc", "v3", "a: 4") // a key that is gone is gone: a version is whole
		expect(nil, "a 3→4 b 2→0")
		s.put("s:doc", "v4", "a: 10")
		expect(nil, "s:doc v4:1:4: a: must be at most 9, found 10")
		s.put("s:doc", "v5", "")
		expect(nil, "s:doc gives nothing any more: the settings in force stay until it does, or until a restart")
		if *w.Current() != (shelved{A: 4}) {
			t.Errorf("%+v", *w.Current())
		}
		s.put("s:doc", "v6", "a: 4")
		expect(nil, "")
		cancel()
		w.Wait()
	})
}

func TestStorePanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		s, heard := newShelf(), &said{}
		s.put("s:doc", "v1", "a: 1")
		s.watch = func(context.Context, func(error)) { panic("oh") }
		w, err := watch.Start(ctx, shelved{}, heard.note, settings.From(s, "s:doc"))
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if got := heard.take(); len(got) != 1 || !strings.Contains(got[0], "not followed any more, because its Watch panicked: oh") {
			t.Errorf("%q", got)
		}
		cancel()
		w.Wait()
	})
}

// A file with references is followed, and so is what it refers to. A reference that is removed does not keep its value.
func TestStoreAndFile(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s := newShelf()
	s.has["s:a"] = settings.Found{Version: "v1", Data: []byte("1")}
	file := filepath.Join(t.TempDir(), "f.yaml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("a: s:a\nb: 7\n")
	updates := make(chan watch.Update[shelved], 10)
	w, err := watch.StartWithin(ctx, 20*time.Millisecond, 100*time.Millisecond, shelved{},
		func(u watch.Update[shelved]) { updates <- u }, settings.File(file), settings.From(s))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		cancel()
		w.Wait()
	}()
	until := func(want shelved) {
		t.Helper()
		for *w.Current() != want {
			select {
			case <-updates:
			case <-time.After(10 * time.Second): // the file system is in real time
				t.Fatalf("got %+v, want %+v", *w.Current(), want)
			}
		}
	}
	s.mu.Lock()
	s.has["s:a"] = settings.Found{Version: "v2", Data: []byte("2")}
	s.mu.Unlock()
	s.news <- nil
	until(shelved{2, 7})
	write("a: 5\nb: 7\n")
	until(shelved{5, 7})
}
