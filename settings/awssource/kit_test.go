package awssource_test

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sambatech/chassis/settings"
	"github.com/sambatech/chassis/settings/awssource"
	"github.com/sambatech/chassis/settings/awssource/internal/awsserver"
	"github.com/sambatech/chassis/settings/watch"
)

// mailer is the settings of a service.
type mailer struct {
	Mail mail `live:"true"`
}

type mail struct {
	From     string
	Batch    int `rule:"max=64"`
	Hosts    []string
	Token    settings.Secret[string]
	Database database
	Limits   map[string]int
}

type database struct {
	Host     string
	Port     int
	Username string
	Password settings.Secret[string]
}

// kit is a service that follows its settings.
type kit struct {
	t     *testing.T
	aws   *awsserver.Server
	store *awssource.Store
	live  *watch.Live[mailer]
	part  *watch.Part[mailer, mailer]
	log   *record
}

// record is a log.
type record struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (r *record) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.Write(p)
}

// take returns what was logged since the last time.
func (r *record) take() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	defer r.text.Reset()
	return r.text.String()
}

// serve runs a test in a bubble, with a server that fill has filled. It checks that no request broke the protocol.
func serve(t *testing.T, test func(t *testing.T, aws *awsserver.Server, store *awssource.Store)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		aws := awsserver.New()
		test(t, aws, awssource.New(aws.Config(), awssource.Settings{}))
		for _, p := range aws.Problems() {
			t.Error("the server: ", p)
		}
	})
}

// follow loads the settings of yaml and of sources, and follows them until the test ends.
func follow(t *testing.T, aws *awsserver.Server, store *awssource.Store, yaml string, sources ...settings.Option) *kit {
	t.Helper()
	sources = append([]settings.Option{settings.Bytes("mail.yaml", settings.YAML, []byte(yaml)), settings.From(store)},
		sources...)
	_, _, part, err := watch.LoadPart[mailer, mailer](mailer{}, sources...)
	if err != nil {
		t.Fatal(err)
	}
	k := &kit{t: t, aws: aws, store: store, live: &part.Live, part: part, log: &record{}}
	log := slog.New(slog.NewTextHandler(k.log, nil))
	stop := watch.Keep[mailer](part, watch.Keeper[mailer]{Log: log, Lock: &sync.Mutex{}, Limit: time.Second,
		Apply: func(_ context.Context, next mailer) ([]settings.Change, error) {
			changes := part.Shown(settings.Diff(*part.Live.Get(), next))
			part.Set(next)
			watch.LogChanges(log, changes)
			return changes, nil
		}, Changed: func() {}})
	t.Cleanup(func() {
		if err := stop(context.Background()); err != nil {
			t.Error(err)
		}
		if err := synctestLog(k); err != "" {
			t.Error(err)
		}
	})
	return k
}

// synctestLog returns what of the log should not be there: a secret of these tests. Each begins with "hush".
func synctestLog(k *kit) string {
	if text := k.log.take(); strings.Contains(text, "hush") {
		return "the log has a secret: " + text
	}
	return ""
}

// after lets time pass, and all that it brings about end.
func (k *kit) after(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// logged checks the log since the last time.
func (k *kit) logged(parts ...string) {
	k.t.Helper()
	text := k.log.take()
	if strings.Contains(text, "hush") {
		k.t.Error("the log has a secret: ", text)
	}
	for _, part := range parts {
		if !strings.Contains(text, part) {
			k.t.Errorf("the log has no %q:\n%s", part, text)
		}
	}
	if len(parts) == 0 && text != "" {
		k.t.Errorf("logged:\n%s", text)
	}
}

// origin returns where a setting came from, as the page and settings explain show it, with its value.
func (k *kit) origin(path string) string {
	k.t.Helper()
	said, inForce := k.part.Explain()
	for _, e := range append(said, inForce...) {
		if strings.Contains(e.Value, "hush") {
			k.t.Errorf("%s is shown: %s", e.Path, e.Value)
		}
		for _, s := range e.Shadowed {
			if strings.Contains(s.Value, "hush") {
				k.t.Errorf("%s is shown, shadowed: %s", e.Path, s.Value)
			}
		}
	}
	for _, e := range said {
		if e.Path == path {
			return e.Value + " # " + e.Source.String()
		}
	}
	return "nothing"
}

func (k *kit) at(path, want string) {
	k.t.Helper()
	if got := k.origin(path); got != want {
		k.t.Errorf("%s: got %s, want %s", path, got, want)
	}
}
