package chassis_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/settings"
)

// followed is a service's settings: the chassis' and its own.
type followed struct {
	chassis.Settings
	Mail struct {
		Batch int `live:"true"`
		From  string
	}
}

// follower is a service that follows its file, and all values that were in force.
type follower struct {
	t    *testing.T
	path string
	sys  *chassis.System
	live *chassis.LiveSettings[followed]
	log  *lockedLog
	mu   sync.Mutex
	seen []string
}

// lockedLog may be read at any time.
type lockedLog struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lockedLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// follow starts a service with chassis.Load, or one that reads its own sources.
func follow(t *testing.T, byLoad bool) *follower {
	t.Helper()
	dir := t.TempDir()
	f := &follower{t: t, log: &lockedLog{}, path: filepath.Join(dir, "chassis.yaml")}
	f.write(51)
	opts := []chassis.Option{chassis.WithLogOutput(f.log), chassis.WithoutDefaultLogger(), chassis.WithActorConfig(actor.WithDeadLetterThrottleInterval(time.Millisecond))}
	var cfg followed
	if byLoad {
		var use chassis.Option
		var err error
		if cfg, use, err = chassis.Load(followed{Settings: chassis.DefaultSettings()}, settings.OptionalFile(f.path)); err != nil {
			t.Fatal(err)
		}
		opts = append(opts, use)
	} else {
		t.Chdir(dir)
	}
	var err error
	if f.sys, err = chassis.New("followed", opts...); err != nil {
		t.Fatal(err)
	}
	b := f.sys.Breaker("https://a.internal")
	if err := f.sys.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if byLoad {
		f.live = chassis.Live(f.sys, cfg)
	}
	stop, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			s := f.sys.Settings()
			now := fmt.Sprintf("workers=%d closed_fail_limit=%d level=%s request_timeout=%v", s.Tasks.Workers, s.CircuitBreaker.ClosedFailLimit, s.Log.Level, b.Settings().RequestTimeout)
			if f.live != nil {
				now += fmt.Sprintf(" batch=%d", f.live.Get().Mail.Batch)
			}
			f.mu.Lock()
			if len(f.seen) == 0 || f.seen[len(f.seen)-1] != now {
				f.seen = append(f.seen, now)
			}
			f.mu.Unlock()
			select {
			case <-stop:
				return
			case <-time.After(2 * time.Millisecond):
			}
		}
	}()
	t.Cleanup(func() {
		close(stop)
		<-ended
		if err := f.sys.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	f.await(51)
	return f
}

func (f *follower) write(workers int) {
	f.t.Helper()
	text := fmt.Sprintf("tasks: {workers: %d, max_workers: 60}\n", workers) +
		"circuit_breaker: {closed_fail_limit: 77, services: {\"https://a.internal\": {request_timeout: 30s}}}\n" +
		"log: {level: warning, format: json}\nadmin: {listen: \"127.0.0.1:0\"}\n" +
		fmt.Sprintf("mail: {batch: %d, from: from%d}\n", workers, workers)
	if err := os.WriteFile(f.path, []byte(text), 0o600); err != nil {
		f.t.Fatal(err)
	}
}

func (f *follower) values() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.seen)
}

// await waits until the values of write(workers) are in force.
func (f *follower) await(workers int) {
	f.t.Helper()
	want := fmt.Sprintf("workers=%d closed_fail_limit=77 level=warning request_timeout=30s", workers)
	if f.live != nil {
		want += fmt.Sprintf(" batch=%d", workers)
	}
	for range 3000 {
		if s := f.values(); len(s) > 0 && s[len(s)-1] == want {
			return
		}
		time.Sleep(10 * time.Millisecond) // real files and their watcher: no bubble sees them
	}
	f.t.Fatalf("%s is not in force; in force were, in turn:\n%s", want, strings.Join(f.values(), "\n"))
}

// neverDefaults fails the test if values were in force that no file ever held.
func (f *follower) neverDefaults() {
	f.t.Helper()
	for _, s := range f.values() {
		if !strings.Contains(s, " closed_fail_limit=77 level=warning request_timeout=30s") || strings.HasPrefix(s, "workers=3 ") || strings.HasSuffix(s, "batch=0") {
			f.t.Errorf("values that no file ever held were in force: %s; all, in turn:\n%s", s, strings.Join(f.values(), "\n"))
			return
		}
	}
}

// warned reports whether the log has, or soon gets, a line at WARN with the texts.
func (f *follower) warned(texts ...string) bool {
	f.t.Helper()
	for range 1000 {
		if err := f.sys.Log().Flush(f.t.Context()); err != nil {
			f.t.Fatal(err)
		}
		for line := range strings.Lines(f.log.String()) {
			if strings.Contains(line, `"level":"WARN"`) && !slices.ContainsFunc(texts, func(text string) bool { return !strings.Contains(line, text) }) {
				return true
			}
		}
		time.Sleep(10 * time.Millisecond) // real files and their watcher: no bubble sees them
	}
	return false
}

// An editor saves chassis.yaml by renaming it to a backup, and writes the new one
// a moment later. All defaults were in force for that moment.
func TestAFileThatIsGoneForAMomentPutsDefaultsInForce(t *testing.T) {
	f := follow(t, false)
	if err := os.Rename(f.path, f.path+"~"); err != nil {
		t.Fatal(err)
	}
	if !f.warned("chassis.yaml is not there any more") {
		t.Errorf("not logged: %s", f.log)
	}
	f.write(52)
	f.await(52)
	f.neverDefaults()
}

// A copy empties chassis.yaml first and writes it a moment later.
func TestAFileThatIsEmptyForAMomentPutsDefaultsInForce(t *testing.T) {
	f := follow(t, true)
	if err := os.Truncate(f.path, 0); err != nil {
		t.Fatal(err)
	}
	if !f.warned("chassis.yaml is empty") {
		t.Errorf("not logged: %s", f.log)
	}
	f.write(53)
	f.await(53)
	f.neverDefaults()
}

// A service of chassis.Load did not follow its file, and nothing said so.
func TestASystemOfLoadDoesNotFollowItsFile(t *testing.T) {
	f := follow(t, true)
	origin := func(key string) (value, from string) {
		t.Helper()
		res, err := pageClient.Get(f.sys.AdminURL() + "api/v1/settings")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = res.Body.Close() }()
		var page struct {
			List []struct{ Key, Value, From string }
		}
		if err := json.NewDecoder(res.Body).Decode(&page); err != nil {
			t.Fatal(err)
		}
		for _, s := range page.List {
			if s.Key == key {
				return s.Value, s.From
			}
		}
		t.Errorf("the page has no %s", key)
		return "", ""
	}
	changed := f.live.Changed()
	f.write(54)
	<-changed
	f.await(54)
	if got := f.live.Get(); got.Mail.Batch != 54 || got.Mail.From != "from51" || got.Tasks.Workers != 54 {
		t.Errorf("the service's own: %+v, workers %d; want batch and workers changed, and from as at the start", got.Mail, got.Tasks.Workers)
	}
	if !f.warned("a changed setting needs a restart", "mail.from") {
		t.Errorf("what needs a restart is not logged: %s", f.log)
	}
	at := func(line, column int) string { return fmt.Sprintf("%s:%d:%d", f.path, line, column) }
	for key, want := range map[string][2]string{
		"mail.batch":     {"54", at(5, 15)},
		"mail.from":      {"from51", at(5, 25) + ", until a restart: it has changed since"},
		"tasks.workers":  {"54", at(1, 18)},
		"log.level":      {"warning", at(3, 14)},
		"log.format":     {"json", at(3, 31)},
		"tasks.weight":   {"0", "default"},
		`queue.endpoint`: {"", "default"},
	} {
		value, from := origin(key)
		for range 500 { // the page follows a moment later
			if value == want[0] && from == want[1] {
				break
			}
			time.Sleep(10 * time.Millisecond) // as above
			value, from = origin(key)
		}
		if value != want[0] || from != want[1] {
			t.Errorf("the page says %s is %s from %s, want %s from %s", key, value, from, want[0], want[1])
		}
	}

	// A line more moves the others, and changes no value.
	text, err := os.ReadFile(f.path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(f.path, append([]byte("# a line\n"), text...), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 1000 {
		if _, from := origin("mail.batch"); from == at(6, 15) {
			return
		}
		time.Sleep(10 * time.Millisecond) // real files and their watcher: no bubble sees them
	}
	_, from := origin("mail.batch")
	t.Errorf("the page says %s, want the line that it is in now", from)
}

func TestLiveSettingsOfASystemThatFollowsNothing(t *testing.T) {
	sys, _ := newSystem(t, nil)
	cfg := followed{Settings: sys.Settings()}
	cfg.Mail.Batch = 7
	live := chassis.Live(sys, cfg)
	if live.Get().Mail.Batch != 7 {
		t.Errorf("got %+v", live.Get().Mail)
	}
	select {
	case <-live.Changed():
		t.Error("changed")
	default:
	}
	_, use, err := chassis.Load(followed{Settings: chassis.DefaultSettings()}, yaml("mail: {batch: 1}\n"))
	if err != nil {
		t.Fatal(err)
	}
	other, err := chassis.New("other", use, chassis.WithLogOutput(&lockedLog{}), chassis.WithoutDefaultLogger(), chassis.WithActorConfig(actor.WithDeadLetterThrottleInterval(time.Millisecond)))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Stop(t.Context()) }()
	defer func() {
		if text := fmt.Sprint(recover()); !strings.Contains(text, "chassis_test.followed") {
			t.Errorf("another type: %s", text)
		}
	}()
	chassis.Live(other, chassis.Settings{})
}
