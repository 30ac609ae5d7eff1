package settings

import (
	"os"
	"reflect"
	"strings"

	"github.com/sambatech/chassis/settings/internal/source"
)

// RequireEnv returns one variable of the process' environment as a T, or the default if the variable is not set, or
// an error if there is no default (nil):
//
//	port, err := settings.RequireEnv("PORT", new(8080), "port")
//
// A variable that is set but empty is an empty value, not an unset one. The rules are those of a rule tag, see
// [Rules], and hold for the default too. Nothing is written to the environment.
func RequireEnv[T any](name string, def *T, rules ...string) (T, error) {
	var out T
	c, err := codecOf(reflect.TypeFor[T]())
	if err != nil {
		return out, err
	}
	f := &field{key: name, codec: c, secret: c.within() == secretCodec}
	if f.rules, err = parseRules(strings.Join(rules, ","), c.revealedType()); err != nil {
		return out, &Error{Kind: KindLayout, Path: name, Problem: err.Error()}
	}
	var n *source.Node
	text, set := os.LookupEnv(name)
	switch {
	case set:
		n = &source.Node{Kind: source.Text, Literal: true, Text: text, From: &source.Origin{Rank: source.Env},
			Rare: &source.Rare{Name: name}}
	case def == nil:
		return out, &Error{Kind: KindRequired, Pos: Position{Name: name},
			Problem: "the variable is required (" + c.expect + ") and is not set"}
	default:
		out = *def
	}
	d := &decoder{tree: &Tree{root: &source.Node{Kind: source.Map}}, config: &config{}, plan: c}
	v := reflect.ValueOf(&out).Elem()
	if n == nil || d.value(c, f, n, v, f.secret) {
		d.rules(f, n, positionOf(n), v)
	}
	if n == nil {
		for _, e := range d.errs {
			e.Pos.Name = name
		}
	}
	return unlessWrong(out, d.errs)
}
