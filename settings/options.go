package settings

import (
	"context"
	"os"
	"reflect"
	"strings"
)

// Option is a [Source] or says how sources are read.
type Option interface{ apply(*config) }

type optionFunc func(*config)

func (f optionFunc) apply(c *config) { f(c) }

type config struct {
	sources      []Source
	allowUnknown bool
	shared       bool
	foreign      []string
	lists, maps  Merge
	checks       []typedCheck
	environ      []string // nil: the process' own
	reserved     []string // variables that are no settings
	stores       []Store
	ctx          context.Context // ends the reading of stores; nil: only their own time limits do
}

type typedCheck struct {
	of  reflect.Type
	run func(any) error
}

func newConfig(options []Option) *config {
	c := &config{}
	for _, o := range options {
		if o != nil {
			o.apply(c)
		}
	}
	return c
}

func (c *config) lookupEnv(name string) string {
	if c.environ == nil {
		return os.Getenv(name)
	}
	value := ""
	for _, e := range c.environ {
		if k, v, ok := strings.Cut(e, "="); ok && k == name {
			value = v
		}
	}
	return value
}

// AllowUnknown makes unknown keys and unknown prefixed variables no error. They are left out of the result;
// [Tree.Get] still reaches them.
func AllowUnknown() Option { return optionFunc(func(c *config) { c.allowUnknown = true }) }

// Shared says that the sources are shared with other layouts: a top-level key that this layout does not know is
// left to them. One that is a likely misspelling of a key of this layout (taks for tasks), and holds what that
// section does, is still an error, unless it is among foreign, the top-level keys that are known to be others',
// or another layout has decoded it from the same [Tree]. [Tree.Unclaimed] returns what no layout asked for.
func Shared(foreign ...string) Option {
	return optionFunc(func(c *config) {
		c.shared = true
		c.foreign = append(c.foreign, foreign...)
	})
}

// Merge is how values of one key from several sources are joined.
type Merge uint8

const (
	Deep    Merge = iota + 1 // maps: key by key, at every depth; the default for maps
	Replace                  // the strongest source's value alone; the default for lists
	Append                   // lists: the weakest source's elements first
)

// MergeLists chooses how lists are joined: Replace (the default) or Append. A field's merge tag ("replace",
// "append") goes before it. The list of the defaults is replaced in any case.
func MergeLists(how Merge) Option { return optionFunc(func(c *config) { c.lists = how }) }

// MergeMaps chooses how maps are joined: Deep (the default) or Replace, where a stronger source's map hides the
// whole of a weaker one's and of the defaults'. It is about maps (map[string]T), where keys are data; a struct's
// sections are always joined key by key. A field's merge tag ("deep", "replace") goes before it.
func MergeMaps(how Merge) Option { return optionFunc(func(c *config) { c.maps = how }) }

// Check adds a check over the whole of a loaded T, run once every value has been read, even if some were wrong:
// so it must bear zero values. Errors made with [At] stand at the setting they name, and errors.Join gives
// several. A struct of the layout may have a method Validate() error instead.
func Check[T any](check func(*T) error) Option {
	return optionFunc(func(c *config) {
		c.checks = append(c.checks, typedCheck{of: reflect.TypeFor[T](),
			run: func(v any) error { return check(v.(*T)) }})
	})
}
