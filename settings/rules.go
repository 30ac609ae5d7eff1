package settings

import (
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

	"github.com/sambatech/chassis/settings/internal/source"
)

// Rules lists the rules that a rule tag, or an [Item]'s Rules, can hold,
// divided by commas; what each is about and what it asks. Rules are checked on
// defaults too. A nil pointer is checked for nothing but required.
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
//	unique       a list no element of which stands in it twice
//	zero         the zero value passes whatever the other rules say: "not set"
//	optional     a zero value that no source gives passes whatever the other rules
//	             say; one that a source gives is judged like any other
//	each         the rules after it are about each element of a list or map
//	match=RE     a string that the regular expression matches in whole; takes the
//	             rest of the tag, commas included
var Rules = []string{"required", "min", "max", "positive", "nonzero", "oneof", "nonempty", "lower", "upper", "trimmed", "url",
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
		if needs := name == "min" || name == "max" || name == "oneof" || name == "match"; needs != hasArg && slices.Contains(Rules, name) {
			return set, fmt.Errorf("the rule %s %s", name, map[bool]string{true: "needs a value: " + name + "=...", false: "takes no value"}[needs])
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

func newRule(name, arg string, t reflect.Type) (rule, error) {
	r := rule{name: name, arg: arg}
	var err error
	switch name {
	case "min", "max":
		err = r.bound(t)
	case "positive":
		compare, ok := comparer(t, "0")
		if !ok {
			return r, fmt.Errorf("the rule positive does not fit a %s", t)
		}
		r.must, r.holds = "must be above 0", func(v reflect.Value) bool { return compare(v) > 0 }
	case "nonzero":
		compare, ok := comparer(t, "0")
		if !ok {
			return r, fmt.Errorf("the rule nonzero does not fit a %s", t)
		}
		r.must, r.holds = "must not be 0", func(v reflect.Value) bool { return compare(v) != 0 }
	case "port":
		compare, ok := comparer(t, "0")
		most, _ := comparer(t, "65535")
		if !ok || !isNumber(t) {
			return r, fmt.Errorf("the rule port does not fit a %s", t)
		}
		r.must, r.holds = "must be a port from 1 to 65535", func(v reflect.Value) bool { return compare(v) > 0 && most(v) <= 0 }
	case "oneof":
		r.near = strings.Split(arg, "|")
		r.must = "must be one of " + strings.Join(r.near, ", ")
		r.holds = func(v reflect.Value) bool { return slices.Contains(r.near, showValue(v)) }
	case "nonempty":
		if !hasLength(t) {
			return r, fmt.Errorf("the rule nonempty does not fit a %s", t)
		}
		r.must, r.holds = "must not be empty", func(v reflect.Value) bool { return v.Len() > 0 }
	case "unique":
		if t.Kind() != reflect.Slice && t.Kind() != reflect.Array {
			return r, fmt.Errorf("the rule unique does not fit a %s", t)
		}
		r.must, r.holds = "must not hold an element twice", isUnique
	case "url":
		r.must, r.holds = "must be an absolute URL with a host, such as https://example.org", isURL
		if t != urlType && t.Kind() != reflect.String {
			return r, fmt.Errorf("the rule url does not fit a %s", t)
		}
	case "match":
		re, reErr := regexp.Compile(`^(?:` + arg + `)$`)
		if reErr != nil {
			return r, fmt.Errorf("the rule match: %w", reErr)
		}
		err = r.text(t, "must match "+arg, re.MatchString)
	case "lower":
		err = r.text(t, "must be all lower case", func(s string) bool {
			return !strings.ContainsFunc(s, func(r rune) bool { return unicode.IsUpper(r) || unicode.IsTitle(r) })
		})
	case "upper":
		err = r.text(t, "must be all upper case", func(s string) bool {
			return !strings.ContainsFunc(s, func(r rune) bool { return unicode.IsLower(r) || unicode.IsTitle(r) })
		})
	case "trimmed":
		err = r.text(t, "must not begin or end with a blank", func(s string) bool { return s == strings.TrimFunc(s, unicode.IsSpace) })
	case "hostport":
		err = r.text(t, "must be host:port", isHostPort)
	case "file":
		err = r.text(t, "must name an existing file", func(s string) bool { info, err := os.Stat(s); return err == nil && !info.IsDir() })
	case "dir":
		err = r.text(t, "must name an existing directory", func(s string) bool { info, err := os.Stat(s); return err == nil && info.IsDir() })
	default:
		err = fmt.Errorf("there is no rule %q", name)
		if near := nearest(name, Rules); near != "" {
			err = fmt.Errorf("there is no rule %q; did you mean %s?", name, near)
		}
	}
	return r, err
}

func (r *rule) text(t reflect.Type, must string, holds func(string) bool) error {
	if t.Kind() != reflect.String {
		return fmt.Errorf("the rule %s is about strings, the field is a %s", r.name, t)
	}
	r.must, r.holds = must, func(v reflect.Value) bool { return holds(v.String()) }
	return nil
}

func (r *rule) bound(t reflect.Type) error {
	word := "at least "
	sign := 1
	if r.name == "max" {
		word, sign = "at most ", -1
	}
	if compare, ok := comparer(t, r.arg); ok {
		r.must = "must be " + word + r.arg
		r.holds = func(v reflect.Value) bool { return compare(v)*sign >= 0 }
		return nil
	}
	n, err := strconv.Atoi(r.arg)
	if !hasLength(t) || err != nil || n < 0 {
		return fmt.Errorf("the rule %s=%s does not fit a %s", r.name, r.arg, t)
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
	return nil
}

// comparer gives a comparison of values of type t with the limit.
func comparer(t reflect.Type, limit string) (func(reflect.Value) int, bool) {
	bound := reflect.New(t).Elem()
	n := &source.Node{Kind: source.Text, Text: limit}
	var set scalarFunc
	switch {
	case t == timeType:
		set = setTime
	case t == durationType:
		set = setDuration
	case bound.CanInt():
		set = setInt
	case bound.CanUint():
		set = setUint
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
		return func(v reflect.Value) int { return sign(v.Int() < b, v.Int() > b) }, true
	case bound.CanUint():
		b := bound.Uint()
		return func(v reflect.Value) int { return sign(v.Uint() < b, v.Uint() > b) }, true
	}
	b := bound.Float()
	return func(v reflect.Value) int { return sign(v.Float() < b, v.Float() > b) }, true
}

func sign(less, more bool) int {
	switch {
	case less:
		return -1
	case more:
		return 1
	}
	return 0
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

// hostPortPattern takes a name or an IPv4 address, or an IPv6 address in
// brackets, either of which may be left out, and a port up to 65535.
const hostPortPattern = `^(\[[0-9A-Fa-f:.%A-Za-z]+\]|[^:\[\]/\s]*):(6553[0-5]|655[0-2][0-9]|65[0-4][0-9]{2}|6[0-4][0-9]{3}|[1-5]?[0-9]{1,4})$`

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
