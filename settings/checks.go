package settings

import (
	"errors"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/sambatech/chassis/internal/spelling"
	"github.com/sambatech/chassis/settings/internal/source"
)

// rules checks a value that fits its type; n is nil for a default: its mistake stands at the section
// that should have given a better one.
func (d *decoder) rules(f *field, n *source.Node, at Position, v reflect.Value) {
	if v = pointee(v); !v.IsValid() {
		return
	}
	if s, ok := v.Interface().(secretType); ok && f.codec.within() == secretCodec {
		if n == nil && isUnset(v) && !hasRule(f, "nonempty") {
			return
		}
		v = s.reveal()
	}
	if (f.rules.zero || f.rules.optional && n == nil) && v.IsZero() {
		return
	}
	for i := range f.rules.own {
		d.rule(&f.rules.own[i], f, n, at, v)
	}
	if len(f.rules.each) > 0 {
		d.each(f, n, v)
	}
	if f.check != nil {
		if err := f.check(v.Interface()); err != nil {
			e := &Error{Kind: KindRule, Pos: at, Problem: err.Error(), Err: err}
			if f.secret || d.hidden(n) {
				e.Problem, e.Err = "its check refused it", nil
			}
			d.fail(e)
		}
	}
}

// pointee follows pointers; it is the zero Value behind nil.
func pointee(v reflect.Value) reflect.Value {
	for v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	return v
}

func hasRule(f *field, name string) bool {
	return slices.ContainsFunc(f.rules.own, func(r rule) bool { return r.name == name })
}

func (d *decoder) rule(r *rule, f *field, n *source.Node, at Position, v reflect.Value) {
	if r.holds(v) {
		return
	}
	e := &Error{Kind: KindRule, Pos: at}
	hide := f.secret || d.hidden(n)
	switch {
	case n == nil && hide:
		e.Problem = r.must + "; its default does not fit"
	case n == nil:
		e.Problem = r.must + ", its default is " + found(v)
	case hide:
		e.Problem = r.must + ", found a value that is not shown"
	default:
		e.Problem = r.must + ", found " + found(v)
		e.Suggestion = spelling.Nearest(showValue(v), r.near)
		if r.name == "lower" {
			e.Suggestion = strings.ToLower(v.String())
		}
		if f.rules.optional && v.IsZero() {
			e.Problem += ": leave it out for its default"
		}
	}
	if n != nil && n.More().Alias != "" {
		e.Problem += " by the alias " + source.QuoteKey(n.More().Alias)
	}
	d.fail(e)
}

func (d *decoder) each(f *field, n *source.Node, v reflect.Value) {
	at := func(segment string, elem reflect.Value) {
		if elem = pointee(elem); !elem.IsValid() {
			return
		}
		place := d.find.At(n, segment)
		if place == nil {
			place = n
		}
		d.path = append(d.path, segment)
		for i := range f.rules.each {
			d.rule(&f.rules.each[i], f, place, positionOf(place), elem)
		}
		d.path = d.path[:len(d.path)-1]
	}
	if v.Kind() != reflect.Map {
		for i := range v.Len() {
			at(strconv.Itoa(i), v.Index(i))
		}
		return
	}
	for _, k := range sortedKeys(v) {
		at(showValue(k), v.MapIndex(k))
	}
}

func isUnset(v reflect.Value) bool {
	if s, ok := v.Interface().(interface{ IsZero() bool }); ok {
		return (v.Kind() == reflect.Pointer && v.IsNil()) || s.IsZero()
	}
	return v.IsZero() || (v.Kind() == reflect.Map || v.Kind() == reflect.Slice) && v.Len() == 0
}

// required reports a missing value, at the section that should have it or at the file, and names the variable.
func (d *decoder) required(f *field, section Position) {
	path := joinPath(d.path)
	problem := "is required (" + f.codec.expect + ") and nothing gives it"
	if len(d.tree.prefixes) > 0 {
		problem += "; it may also be set by " + EnvName(d.tree.prefixes[0], d.path...)
	}
	if section == (Position{}) {
		if section.File = d.tree.file; section.File == "" {
			section.Name = "settings"
		}
	}
	d.fail(&Error{Kind: KindRequired, Pos: section, Path: path, Problem: problem})
}

// checked reports the error of a check function, at the setting that it names.
func (d *decoder) checked(err error) {
	if err == nil {
		return
	}
	if all := joined(err); all != nil {
		for _, e := range all {
			d.checked(e)
		}
		return
	}
	e, path := &Error{Kind: KindRule, Problem: err.Error(), Err: err}, d.path
	var named *atError
	if errors.As(err, &named) {
		if all := joined(named.err); all != nil {
			for _, e := range all {
				d.checked(At(named.path, e))
			}
			return
		}
		e.Problem = named.err.Error()
		if more, splitErr := splitPath(named.path); splitErr == nil {
			path = append(slices.Clone(path), more...)
		}
	}
	e.Path = joinPath(path)
	n := d.tree.root
	for _, s := range path {
		if n = d.find.At(present(n), s); n == nil {
			break
		}
	}
	e.Pos = positionOf(n)
	d.fail(e)
}

// joined are the errors of an errors.Join; nil for any other error, also one that adds text.
func joined(err error) []error {
	several, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return nil
	}
	if all := errors.Join(several.Unwrap()...); all == nil || all.Error() != err.Error() {
		return nil
	}
	return several.Unwrap()
}
