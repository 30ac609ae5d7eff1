package watch

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/sambatech/chassis/settings"
)

// Library is the part that a library owns, and program the settings it is embedded in.
type Library struct {
	Log struct {
		Level string `live:"true"`
		File  string
	} `key:"log"`
}

type program struct {
	Library
	Mail struct {
		Batch int `live:"true"`
		From  string
	}
}

func partOfFile(t *testing.T, text string) (path string, p *Part[program, Library]) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "program.yaml")
	rewrite(t, path, text)
	tree, err := settings.Open(settings.File(path))
	if err != nil {
		t.Fatal(err)
	}
	value, err := settings.Decode(tree, program{})
	if err != nil {
		t.Fatal(err)
	}
	if p, err = NewPart[program, Library](tree, program{}, value, settings.File(path)); err != nil {
		t.Fatal(err)
	}
	return path, p
}

func rewrite(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestPartTakesWhatIsLiveOutsideItAndLeavesItselfAlone(t *testing.T) {
	path, p := partOfFile(t, "log: {level: info, file: a}\nmail: {batch: 1, from: a}\n")
	reloads := make(chan Reload[Library], 1)
	stop, err := p.Follow(func(_ context.Context, r Reload[Library]) { reloads <- r })
	if err != nil {
		t.Fatal(err)
	}
	changed := p.Live.Changed()
	rewrite(t, path, "log: {level: debug, file: b}\nmail: {batch: 2, from: b}\n")
	r := <-reloads
	if r.Err != nil || len(r.Changes) != 4 || r.Part.Log.Level != "debug" {
		t.Errorf("the reload is %+v", r)
	}
	rest := r.TakeRest()
	now := p.Live.Get()
	if len(rest) != 2 || rest[0].Path != "mail.batch" || now.Mail.Batch != 2 || now.Mail.From != "a" || now.Log.Level != "info" {
		t.Errorf("the rest is %+v, in force %+v", rest, now)
	}
	<-changed
	p.Set(r.Part)
	if now := p.Live.Get(); now.Log.File != "b" || now.Mail.Batch != 2 {
		t.Errorf("in force after Set: %+v", now)
	}
	if !p.Owns("log.level") || p.Owns("mail.batch") || p.Owns("lo") {
		t.Error("Owns does not know the part")
	}
	if err := stop(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestPartStopIsBoundedByItsContext(t *testing.T) {
	path, p := partOfFile(t, "mail: {batch: 1}\n")
	begun, free := make(chan context.Context), make(chan struct{})
	stop, err := p.Follow(func(ctx context.Context, _ Reload[Library]) { begun <- ctx; <-free })
	if err != nil {
		t.Fatal(err)
	}
	rewrite(t, path, "mail: {batch: 2}\n")
	notified := <-begun
	short, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := stop(short); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the stop of a notify that hangs: %v", err)
	}
	if notified.Err() == nil {
		t.Error("the ctx of notify goes on after the stop")
	}
	close(free)
	if err := stop(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestPartOfSettingsThatTheProgramMade(t *testing.T) {
	value := Library{}
	value.Log.Level = "error"
	p, err := NewPart[Library, Library](nil, Library{}, value)
	if err != nil {
		t.Fatal(err)
	}
	stop, err := p.Follow(func(context.Context, Reload[Library]) { t.Error("a reload without a source") })
	if err != nil || stop(t.Context()) != nil || p.Tree() != nil {
		t.Errorf("follow: %v", err)
	}
	if said, inForce := p.Explain(); len(said) != 2 || len(inForce) != 2 || inForce[0].Value != "error" {
		t.Errorf("said %+v, in force %+v", said, inForce)
	}
	if _, ok := PartOf[program](value); ok {
		t.Error("a part holds the whole")
	}
	if _, err := NewPart[struct{ A int }, Library](nil, struct{ A int }{}, struct{ A int }{}); err == nil {
		t.Error("settings without the part are no mistake")
	}
}

func TestFillReplacesZerosByDefaults(t *testing.T) {
	defaults := program{}
	defaults.Log.File, defaults.Mail.Batch = "a", 5
	value := program{}
	value.Mail.Batch = 3
	want := value
	want.Log.File = "a"
	if got := Fill(value, defaults); !reflect.DeepEqual(got, want) {
		t.Errorf("filled: %+v", got)
	}
}
