package settings

import (
	"cmp"
	"fmt"
	"net/url"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/sambatech/chassis/internal/spelling"
	"github.com/sambatech/chassis/settings/internal/source"
)

// Rules lists the rules that a rule tag, or an [Item]'s Rules, can hold, divided by commas; what each is about
// and what it asks. Rules are checked on defaults too. A nil pointer is checked for nothing but required.
//
//	required     some source gives it, or its default is not the zero value
//	min=V max=V  a number, duration or time within V; the length of a string, list or map
//	positive     a number or duration above 0
//	nonzero      a number or duration that is not 0
//	oneof=A|B|C  a string, or a number as it is written, that is one of them
//	nonempty     a string, list or map that is not empty
//	lower upper  a string without letters of the other case
//	trimmed      a string that neither begins nor ends with a blank
//	url          an absolute URL with a host, of a string or url.URL
//	hostport     a string host:port, the host may be left out
//	port         a number from 1 to 65535
//	file dir     a string that names an existing file or directory
//	unique       a list without equal elements
//	zero         the zero value passes whatever the other rules say: "not set"
//	optional     a zero value that no source gives passes whatever the other rules
//	             say; one that a source gives is judged like any other
//	each         the rules after it are about each element of a list or map
//	match=RE     a string that the regular expression matches in whole; takes the
//	             rest of the tag, commas included
var Rules = []string{"required", "min", "max", "positive", "nonzero", "oneof", "nonempty", "lower", "upper", "trimmed",
	"url",
	"hostport", "port", "file", "dir", "unique", "zero", "optional", "each", "match"}

type rule struct {
	name, arg string
	must      string // "must be at least 1s"
	holds     func(reflect.Value) bool
	near      []string // what a misspelt value may have been meant to be
}

type ruleSet struct {
	required, zero, optional bool
	own, each                []rule
}

// parseRules reads a tag for values of type t.
func parseRules(tag string, t reflect.Type) (set ruleSet, err error) {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	of, into := t, &set.own
	for rest := strings.TrimSpace(tag); rest != ""; {
		var part string
		if strings.HasPrefix(rest, "match=") {
			part, rest = rest, ""
		} else {
			part, rest, _ = strings.Cut(rest, ",")
			rest = strings.TrimSpace(rest)
		}
		name, arg, hasArg := strings.Cut(strings.TrimSpace(part), "=")
		if needs := name == "min" || name == "max" || name == "oneof" || name == "match"; needs != hasArg &&
			slices.Contains(Rules, name) {
			return set, fmt.Errorf("the rule %s %s", name,
				map[bool]string{true: "needs a value: " + name + "=...", false: "takes no value"}[needs])
		}
		switch name {
		case "required":
			set.required = true
			continue
		case "zero":
			set.zero = true
			continue
		case "optional":
			set.optional = true
			continue
		case "each":
			if k := of.Kind(); k != reflect.Slice && k != reflect.Array && k != reflect.Map || into == &set.each {
				return set, fmt.Errorf("the rule each needs a list or a map, the field is a %s", of)
			}
			of, into = of.Elem(), &set.each
			for of.Kind() == reflect.Pointer {
				of = of.Elem()
			}
			continue
		}
		r, err := newRule(name, arg, of)
		if err != nil {
			return set, err
		}
		*into = append(*into, r)
	}
	return set, nil
}

// newRule returns a rule for values of type t. holds stays nil where the rule does not fit the type.
func newRule(name, arg string, t reflect.Type) (rule, error) {
	r := rule{name: name, arg: arg}
	is := func(path string, dir bool) bool {
		info, err := os.Stat(path)
		return err == nil && info.IsDir() == dir
	}
	switch name {
	case "min", "max":
		r.bound(t)
		name += "=" + arg
	case "positive":
		r.must, r.holds = "must be above 0", compared(t, "0", func(c int) bool { return c > 0 })
	case "nonzero":
		r.must, r.holds = "must not be 0", compared(t, "0", func(c int) bool { return c != 0 })
	case "port":
		r.must = "must be a port from 1 to 65535"
		most := compared(t, "65535", func(c int) bool { return c <= 0 }) // nil where no value is larger
		if above := compared(t, "0", func(c int) bool { return c > 0 }); above != nil && isNumber(t) {
			r.holds = func(v reflect.Value) bool { return above(v) && (most == nil || most(v)) }
		}
	case "oneof":
		r.near = strings.Split(arg, "|")
		r.must = "must be one of " + strings.Join(r.near, ", ")
		r.holds = func(v reflect.Value) bool { return slices.Contains(r.near, showValue(v)) }
	case "nonempty":
		r.must = "must not be empty"
		if hasLength(t) {
			r.holds = func(v reflect.Value) bool { return v.Len() > 0 }
		}
	case "unique":
		r.must = "must not hold an element twice"
		if t.Kind() == reflect.Slice || t.Kind() == reflect.Array {
			r.holds = isUnique
		}
	case "url":
		r.must = "must be an absolute URL with a host, like https://example.org"
		if t == urlType || t.Kind() == reflect.String {
			r.holds = isURL
		}
	case "match":
		re, err := regexp.Compile(`^(?:` + arg + `)$`)
		if err != nil {
			return r, fmt.Errorf("the rule match: %w", err)
		}
		r.must, r.holds = "must match "+arg, ofText(t, re.MatchString)
	case "lower":
		r.must, r.holds = "must be all lower case", ofText(t,
			func(s string) bool { return !strings.ContainsFunc(s, isUpper) })
	case "upper":
		r.must, r.holds = "must be all upper case", ofText(t,
			func(s string) bool { return !strings.ContainsFunc(s, isLower) })
	case "trimmed":
		r.must, r.holds = "must not begin or end with a blank", ofText(t,
			func(s string) bool { return s == strings.TrimSpace(s) })
	case "hostport":
		r.must, r.holds = "must be host:port", ofText(t, isHostPort)
	case "file":
		r.must, r.holds = "must name an existing file", ofText(t, func(s string) bool { return is(s, false) })
	case "dir":
		r.must, r.holds = "must name an existing directory", ofText(t, func(s string) bool { return is(s, true) })
	default:
		if near := spelling.Nearest(name, Rules); near != "" {
			return r, fmt.Errorf("there is no rule %q; did you mean %s?", name, near)
		}
		return r, fmt.Errorf("there is no rule %q", name)
	}
	if r.holds == nil {
		return r, fmt.Errorf("the rule %s does not fit a %s", name, t)
	}
	return r, nil
}

func isUpper(r rune) bool { return unicode.IsUpper(r) || unicode.IsTitle(r) }
func isLower(r rune) bool { return unicode.IsLower(r) || unicode.IsTitle(r) }

// ofText returns a check of strings, or nil if t is another type.
func ofText(t reflect.Type, holds func(string) bool) func(reflect.Value) bool {
	if t.Kind() != reflect.String {
		return nil
	}
	return func(v reflect.Value) bool { return holds(v.String()) }
}

// compared returns a check of the comparison with a limit, or nil if the limit is no value of t.
func compared(t reflect.Type, limit string, holds func(int) bool) func(reflect.Value) bool {
	compare, ok := comparer(t, limit)
	if !ok {
		return nil
	}
	return func(v reflect.Value) bool { return holds(compare(v)) }
}

// bound makes a rule min or max: of the value, or of its length.
func (r *rule) bound(t reflect.Type) {
	word, sign := "at least ", 1
	if r.name == "max" {
		word, sign = "at most ", -1
	}
	r.must = "must be " + word + r.arg
	r.holds = compared(t, r.arg, func(c int) bool { return c*sign >= 0 })
	n, err := strconv.Atoi(r.arg)
	if r.holds != nil || !hasLength(t) || err != nil || n < 0 {
		return
	}
	unit := " elements"
	if t.Kind() == reflect.String {
		unit = " characters"
	}
	r.must = "must have " + word + r.arg + unit
	r.holds = func(v reflect.Value) bool {
		length := v.Len()
		if v.Kind() == reflect.String {
			length = utf8.RuneCountInString(v.String())
		}
		return (length-n)*sign >= 0
	}
}

// comparer returns a comparison of values of type t with the limit.
func comparer(t reflect.Type, limit string) (func(reflect.Value) int, bool) {
	bound := reflect.New(t).Elem()
	n := &source.Node{Kind: source.Text, Text: limit}
	var set scalarFunc
	switch {
	case t == timeType:
		set = setTime
	case t == durationType:
		set = setDuration
	case bound.CanInt() || bound.CanUint():
		set = setWhole
	case bound.CanFloat():
		set = setFloat
	default:
		return nil, false
	}
	if set(n, bound) != nil {
		return nil, false
	}
	switch {
	case t == timeType:
		at := bound.Interface().(time.Time)
		return func(v reflect.Value) int { return v.Interface().(time.Time).Compare(at) }, true
	case bound.CanInt():
		b := bound.Int()
		return func(v reflect.Value) int { return cmp.Compare(v.Int(), b) }, true
	case bound.CanUint():
		b := bound.Uint()
		return func(v reflect.Value) int { return cmp.Compare(v.Uint(), b) }, true
	}
	b := bound.Float()
	return func(v reflect.Value) int { return cmp.Compare(v.Float(), b) }, true
}

func isNumber(t reflect.Type) bool {
	return t.Kind() >= reflect.Int && t.Kind() <= reflect.Float64 && t.Kind() != reflect.Uintptr
}

func hasLength(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.String, reflect.Slice, reflect.Map, reflect.Array:
		return true
	}
	return false
}

func isURL(v reflect.Value) bool {
	if v.Kind() == reflect.String {
		u, err := url.Parse(v.String())
		return err == nil && u.Scheme != "" && u.Host != ""
	}
	u := v.Interface().(url.URL)
	return u.Scheme != "" && u.Host != ""
}

// hostPortPattern takes a name or an IPv4 address, or an IPv6 address in brackets, each may be left
// out, and a port up to 65535.
const hostPortPattern = `^(\[[0-9A-Fa-f:.%A-Za-z]+\]|[^:\[\]/\s]*):` +
	`(6553[0-5]|655[0-2][0-9]|65[0-4][0-9]{2}|6[0-4][0-9]{3}|[1-5]?[0-9]{1,4})$`

var isHostPort = regexp.MustCompile(hostPortPattern).MatchString

func isUnique(v reflect.Value) bool {
	for i := range v.Len() {
		for j := range i {
			if reflect.DeepEqual(v.Index(i).Interface(), v.Index(j).Interface()) {
				return false
			}
		}
	}
	return true
}
