package watch_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sambatech/chassis/settings"
	"github.com/sambatech/chassis/settings/watch"
)

// saved is the layout of the files that are saved. All its defaults are 0, which
// no file holds.
type saved struct {
	Alpha, Beta int `live:"true"`
	Gamma       struct{ Delta, Omega int }
	Hosts       []string
}

// version is what a file gives for n, and what is in force of it.
func version(n int) (file, inForce string) {
	return fmt.Sprintf("alpha: %[1]d\nbeta: %[1]d\ngamma:\n  delta: %[1]d\n  omega: %[1]d\nhosts:\n- a%[1]d.internal\n- b%[1]d.internal\n", n),
		fmt.Sprintf("{%[1]d %[1]d {%[1]d %[1]d} [a%[1]d.internal b%[1]d.internal]}", n)
}

// settle is how long the watchers of these tests wait until a file rests.
const settle = 200 * time.Millisecond

// TestASaveThatTakesTimePutsDefaultsOrAMixtureInForce saves a file as editors
// and tools do, with pauses in between that are longer than the watcher waits,
// and looks at the values in force every 2 ms. (vim/vim#15733, spf13/viper#1085,
// spf13/viper#742)
func TestASaveThatTakesTimePutsDefaultsOrAMixtureInForce(t *testing.T) {
	const pause = settle + time.Second // a busy machine may be late by that
	var ways sync.WaitGroup            // all at once: they wait, and do little else
	defer ways.Wait()
	old, oldValue := version(111)
	now, nowValue := version(2222)
	less := strings.Replace(now, "beta: 2222\n", "", 1)
	lessValue := strings.Replace(nowValue, "{2222 2222", "{2222 0", 1)
	put := func(t *testing.T, path, text string, flag int) {
		t.Helper()
		f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|flag, 0o600)
		if err == nil {
			_, err = f.WriteString(text)
			err = errors.Join(err, f.Close())
		}
		must(t, err)
	}
	pieces := func(t *testing.T, path, text string, cuts ...string) {
		put(t, path, "", os.O_TRUNC)
		for _, cut := range cuts {
			time.Sleep(pause)
			before, after, found := strings.Cut(text, cut)
			if !found {
				t.Errorf("no %q in what is left", cut)
			}
			put(t, path, before+cut, os.O_APPEND)
			text = after
		}
		time.Sleep(pause)
		put(t, path, text, os.O_APPEND)
	}
	for name, way := range map[string]struct {
		save func(t *testing.T, path string)
		want string // in the end
		lost bool   // a loss is reported
	}{
		"vim": {func(t *testing.T, path string) { // backupcopy=no
			must(t, os.Rename(path, path+"~"))
			time.Sleep(pause)
			put(t, path, "", os.O_EXCL)
			time.Sleep(pause)
			put(t, path, now, 0)
			must(t, os.Remove(path+"~"))
		}, nowValue, true},
		"vim, over the file": {func(t *testing.T, path string) { // backupcopy=yes
			put(t, path+"~", old, 0)
			pieces(t, path, now, "beta: 22")
			must(t, os.Remove(path+"~"))
		}, nowValue, true},
		"nano": {func(t *testing.T, path string) {
			pieces(t, path, now, "")
		}, nowValue, true},
		"emacs": {func(t *testing.T, path string) {
			must(t, os.Symlink("editor@host", filepath.Join(filepath.Dir(path), ".#a.yaml")))
			must(t, os.Rename(path, path+"~"))
			time.Sleep(pause)
			pieces(t, path, now, "alpha: 2222\n")
			must(t, os.Remove(filepath.Join(filepath.Dir(path), ".#a.yaml")))
		}, nowValue, true},
		">": {func(t *testing.T, path string) {
			put(t, path, "", os.O_TRUNC)
			time.Sleep(pause)
			put(t, path, now, os.O_APPEND)
		}, nowValue, true},
		"cp": {func(t *testing.T, path string) {
			put(t, path, now, os.O_TRUNC)
		}, nowValue, false},
		"cp of a shorter value": {func(t *testing.T, path string) {
			text, _ := version(3)
			put(t, path, text, os.O_TRUNC)
		}, "{3 3 {3 3} [a3.internal b3.internal]}", false},
		"scp": {func(t *testing.T, path string) {
			pieces(t, path, now, "alpha: 22", "22\n", "  omega: 2")
		}, nowValue, true},
		"scp, cut in the last value": {func(t *testing.T, path string) {
			pieces(t, path, now, "b2222.int")
		}, nowValue, true},
		"mv": {func(t *testing.T, path string) {
			put(t, path+".new", now, 0)
			time.Sleep(pause)
			must(t, os.Rename(path+".new", path))
		}, nowValue, false},
		"sed -i": {func(t *testing.T, path string) {
			put(t, path+".sed", "", os.O_EXCL)
			time.Sleep(pause)
			put(t, path+".sed", now, 0)
			must(t, os.Rename(path+".sed", path))
		}, nowValue, false},
		"rm and write": {func(t *testing.T, path string) {
			must(t, os.Remove(path))
			time.Sleep(pause)
			put(t, path, now, 0)
		}, nowValue, true},
		"rm": {func(t *testing.T, path string) {
			must(t, os.Remove(path))
		}, oldValue, true},
		"all in comments": {func(t *testing.T, path string) {
			put(t, path, "# "+strings.ReplaceAll(old, "\n", "\n# ")+"\n", os.O_TRUNC)
		}, oldValue, true},
		"a line taken out": {func(t *testing.T, path string) {
			put(t, path, less, os.O_TRUNC)
		}, lessValue, true},
		"a line taken out, and in again": {func(t *testing.T, path string) {
			put(t, path, less, os.O_TRUNC)
			time.Sleep(pause)
			put(t, path, now, os.O_TRUNC)
		}, nowValue, true},
	} {
		ways.Go(func() {
			t.Run(name, func(t *testing.T) {
				dir := t.TempDir()
				path := filepath.Join(dir, "a.yaml")
				write(t, path, old)
				w := watchSaved(t, path)
				way.save(t, path)
				w.await(way.want)
				w.only(oldValue, way.want)
				w.reported(way.lost)
			})
		})
	}
	ways.Go(func() {
		t.Run("a ConfigMap", func(t *testing.T) {
			dir := t.TempDir()
			publish := func(v, text string) {
				must(t, os.Mkdir(filepath.Join(dir, v), 0o700))
				write(t, filepath.Join(dir, v, "a.yaml"), text)
				must(t, os.Symlink(v, filepath.Join(dir, "..data_tmp")))
				must(t, os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")))
			}
			publish("..1", old)
			path := filepath.Join(dir, "a.yaml")
			must(t, os.Symlink(filepath.Join("..data", "a.yaml"), path))
			w := watchSaved(t, path)
			publish("..2", now)
			must(t, os.RemoveAll(filepath.Join(dir, "..1")))
			w.await(nowValue)
			publish("..3", strings.TrimSuffix(less, "\n")) // one step: nothing to wait for
			w.await(lessValue)
			w.only(oldValue, nowValue, lessValue)
			w.reported(false)
		})
	})
}

// savedWatch is a watcher and all values that were in force.
type savedWatch struct {
	t    *testing.T
	mu   sync.Mutex
	seen []string
	lost []string
}

func watchSaved(t *testing.T, path string) *savedWatch {
	t.Helper()
	s := &savedWatch{t: t}
	ctx, cancel := context.WithCancel(context.Background())
	w, err := watch.StartWithin(ctx, settle, 5*time.Second, saved{}, func(u watch.Update[saved]) {
		var lost *watch.Lost
		if errors.As(u.Err, &lost) {
			s.mu.Lock()
			s.lost = append(s.lost, lost.Error())
			s.mu.Unlock()
		}
	}, settings.OptionalFile(path))
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for ctx.Err() == nil {
			text := fmt.Sprint(*w.Current())
			s.mu.Lock()
			if len(s.seen) == 0 || s.seen[len(s.seen)-1] != text {
				s.seen = append(s.seen, text)
			}
			s.mu.Unlock()
			time.Sleep(2 * time.Millisecond)
		}
	}()
	t.Cleanup(func() {
		cancel()
		w.Wait()
		<-ended
	})
	return s
}

func (s *savedWatch) values() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.seen...)
}

// await waits until want is in force, and a little longer.
func (s *savedWatch) await(want string) {
	s.t.Helper()
	for begun := time.Now(); time.Since(begun) < 30*time.Second; time.Sleep(10 * time.Millisecond) {
		if v := s.values(); len(v) > 0 && v[len(v)-1] == want {
			time.Sleep(1500 * time.Millisecond)
			if v := s.values(); v[len(v)-1] == want {
				return
			}
		}
	}
	s.t.Fatalf("%s is not in force; in force were %q", want, s.values())
}

func (s *savedWatch) only(allowed ...string) {
	s.t.Helper()
	for _, v := range s.values() {
		if !strings.Contains(strings.Join(allowed, "|"), v) {
			s.t.Errorf("%s was in force; all, in turn: %q", v, s.values())
		}
	}
}

// reported checks that a loss was reported, and not twice.
func (s *savedWatch) reported(want bool) {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if (len(s.lost) > 0) != want {
		s.t.Errorf("the losses reported are %q", s.lost)
	}
	for i := 1; i < len(s.lost); i++ {
		if s.lost[i] == s.lost[i-1] {
			s.t.Errorf("reported twice: %q", s.lost)
		}
	}
}
