package settings_test

import (
	"testing"
	"time"

	"github.com/sambatech/chassis/settings"
)

// The layout of the contract's section 2, as the chassis' own parts have it.
type chassisLayout struct {
	Tasks struct {
		TaskPool            string        `rule:"required,lower"`
		TaskTimeout         time.Duration `rule:"min=1s"`
		Workers             int           `rule:"min=1"`
		MaxWorkers          int           `rule:"min=1"`
		ScaleFactor         int           `rule:"min=1"`
		UnknownTasksRetries int           `rule:"min=1"`
	}
	CircuitBreaker struct {
		RequestTimeout  time.Duration `rule:"min=1s"`
		OpenTimeout     time.Duration `rule:"min=1s"`
		ClosedFailLimit int           `rule:"min=1"`
	}
}

func chassisDefaults() (d chassisLayout) {
	d.Tasks.TaskTimeout, d.Tasks.Workers, d.Tasks.MaxWorkers, d.Tasks.ScaleFactor = 120*time.Second, 3, 6, 100
	d.Tasks.UnknownTasksRetries = 50
	d.CircuitBreaker.RequestTimeout, d.CircuitBreaker.OpenTimeout, d.CircuitBreaker.ClosedFailLimit = 5*time.Second, 10*time.Second, 10
	return d
}

func TestAPythonFileLoadsUnchanged(t *testing.T) {
	tree, err := settings.Open(settings.File("testdata/python-settings.yml"))
	if err != nil {
		t.Fatal(err)
	}
	c, err := settings.Decode(tree, chassisDefaults(), settings.Shared())
	if err != nil {
		t.Fatal(err)
	}
	if c.Tasks.TaskPool != "mailer-tasks" || c.Tasks.TaskTimeout != time.Minute || c.Tasks.Workers != 4 || c.Tasks.MaxWorkers != 12 ||
		c.Tasks.ScaleFactor != 50 || c.Tasks.UnknownTasksRetries != 50 ||
		c.CircuitBreaker.RequestTimeout != 3*time.Second || c.CircuitBreaker.OpenTimeout != 5*time.Second || c.CircuitBreaker.ClosedFailLimit != 4 {
		t.Errorf("got %+v", c)
	}
	type own struct {
		Name, Pool, First string
		Recipients        []string
	}
	o, err := settings.Decode(tree, own{}, settings.Shared())
	if err != nil {
		t.Fatal(err)
	}
	if o.First != "a@example.org" || o.Pool != "mailer-tasks" || len(o.Recipients) != 2 {
		t.Errorf("got %+v", o)
	}
	if err := tree.Unclaimed(); err != nil {
		t.Error(err)
	}
}

func load[T any](t *testing.T, text string) (T, error) {
	t.Helper()
	var zero T
	return settings.Load(zero, settings.Bytes("a.yaml", settings.YAML, []byte(text)))
}

func TestAnAliasChainIsFollowed(t *testing.T) {
	type layout struct{ A, B, C string }
	got, err := load[layout](t, "a: .b\nb: .c\nc: x\n")
	if err != nil || got != (layout{"x", "x", "x"}) {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestAnAliasCycleIsAnError(t *testing.T) {
	type layout struct{ A, B, C string }
	_, err := load[layout](t, "a: .b\nb: .c\nc: .a\n")
	got := mistakes(t, err)
	if len(got) != 3 || got[0] != "a.yaml:1:4: the alias leads back to itself: .b → .c → .a → .b" {
		t.Errorf("got %q", got)
	}
}

func TestAnAliasMayNameASection(t *testing.T) {
	type inner struct {
		X int
		Y []int
	}
	type layout struct {
		A, B inner
		C    int
	}
	got, err := load[layout](t, "a: .b\nb:\n  x: 5\n  y: [1, 2]\nc: .a.y.1\n")
	if err != nil || got.A.X != 5 || len(got.A.Y) != 2 || got.C != 2 {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestAnAliasOfTheSectionItStandsInIsAnError(t *testing.T) {
	type layout struct{ A map[string]any }
	_, err := load[layout](t, "a:\n  b: .a\n")
	if got := mistakes(t, err); len(got) != 1 || got[0] != "a.yaml:2:6: the alias .a names a section that it stands in" {
		t.Errorf("got %q", got)
	}
}

func TestTwoDotsAreALiteralDotAndWhatNamesNothingStays(t *testing.T) {
	type layout struct{ A, B, C, D string }
	got, err := load[layout](t, "a: ..x\nb: ./data\nc: .\nd: .nothing.here\n")
	if err != nil || got != (layout{".x", "./data", ".", ".nothing.here"}) {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestADefaultIsCheckedToo(t *testing.T) {
	type layout struct {
		N int `rule:"min=3"`
	}
	_, err := load[layout](t, "")
	if got := mistakes(t, err); len(got) != 1 || got[0] != "default: n: must be at least 3, its default is 0" {
		t.Errorf("got %q", got)
	}
}
