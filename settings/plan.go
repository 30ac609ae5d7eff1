package settings

import (
	"encoding"
	"fmt"
	"log/slog"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/sambatech/chassis/settings/internal/source"
)

var (
	textMarshaler = reflect.TypeFor[encoding.TextMarshaler]()
	textType      = reflect.TypeFor[encoding.TextUnmarshaler]()
	secretIface   = reflect.TypeFor[secretType]()
	durationType  = reflect.TypeFor[time.Duration]()
	timeType      = reflect.TypeFor[time.Time]()
	urlType       = reflect.TypeFor[url.URL]()
	slogLevel     = reflect.TypeFor[slog.Level]()
	anyType       = reflect.TypeFor[any]()
	ownPath       = reflect.TypeFor[Error]().PkgPath()
)

type codecKind uint8

const (
	scalarCodec codecKind = iota
	structCodec
	listCodec
	mapCodec
	pointerCodec
	secretCodec
	anyCodec
)

// codec is the plan of a type, made once and kept: how a value of it is read and what its parts are.
type codec struct {
	typ    reflect.Type
	kind   codecKind
	expect string // "a whole number", after "expected"
	set    scalarFunc
	elem   *codec // of a list, a map, a pointer, a secret
	key    *codec // of a map

	fields    []field // of a struct
	byKey     map[string]int
	keys      []string
	zeros     []int // of a struct: the field that lists the keys given as zero
	hasSecret bool  // somewhere within
	validates bool  // has Validate() error
	err       error
}

// field is a struct's field, those of embedded structs included.
type field struct {
	key    string
	name   string // in Go
	index  []int
	codec  *codec
	rules  ruleSet
	doc    string
	secret bool
	live   bool
	merge  Merge
	check  func(any) error // of an Item
	must   bool            // an Item without a default
}

var (
	codecs    sync.Map // reflect.Type → *codec
	codecLock sync.Mutex
)

// codecOf returns the plan of a type. Its err holds every mistake in its tags.
func codecOf(t reflect.Type) (*codec, error) {
	if c, ok := codecs.Load(t); ok {
		return c.(*codec), c.(*codec).err
	}
	codecLock.Lock()
	defer codecLock.Unlock()
	b := &planner{making: map[planned]*codec{}}
	c := b.make(planned{typ: t})
	b.spreadSecrets()
	c.err = join(b.errs)
	codecs.Store(t, c)
	return c, c.err
}

type planner struct {
	making map[planned]*codec
	errs   []*Error
}

// planned is a type where it stands: every field below a field that is tagged secret is secret.
type planned struct {
	typ    reflect.Type
	secret bool
}

func (b *planner) fail(where string, format string, args ...any) {
	b.errs = append(b.errs, &Error{Kind: KindLayout, Path: where, Problem: fmt.Sprintf(format, args...)})
}

func (b *planner) make(p planned) *codec {
	if c := b.making[p]; c != nil {
		return c
	}
	t := p.typ
	c := &codec{typ: t}
	b.making[p] = c
	expect, set := scalarOf(t)
	of := func(t reflect.Type) *codec { return b.make(planned{t, p.secret}) }
	switch {
	case t.Kind() == reflect.Pointer:
		c.kind, c.elem = pointerCodec, of(t.Elem())
		c.expect = c.elem.expect
	case isSecret(t):
		c.kind, c.hasSecret = secretCodec, true
		c.elem = b.make(planned{reflect.Zero(t).Interface().(secretType).elem(), true})
		c.expect = c.elem.expect
	case set != nil:
		c.expect, c.set = expect, set
	case t.Kind() == reflect.Struct:
		c.kind, c.expect = structCodec, "a section"
		c.validates = reflect.PointerTo(t).Implements(reflect.TypeFor[interface{ Validate() error }]())
		c.byKey = map[string]int{}
		b.fields(c, p, nil)
	case t.Kind() == reflect.Slice, t.Kind() == reflect.Array:
		c.kind, c.expect, c.elem = listCodec, "a list", of(t.Elem())
		if t.Kind() == reflect.Array {
			c.expect = fmt.Sprintf("a list of %d", t.Len())
		}
	case t.Kind() == reflect.Map:
		c.kind, c.expect, c.key, c.elem = mapCodec, "a section", of(t.Key()), of(t.Elem())
		if c.key.kind != scalarCodec {
			b.fail(t.String(), "the keys of a map must be strings, numbers or encoding.TextUnmarshaler")
		}
	case t == anyType:
		c.kind, c.expect = anyCodec, "a value"
	default:
		b.fail(t.String(), "values of this type cannot be read: leave the field out by the tag key:\"-\"")
		c.kind, c.expect = anyCodec, "a value"
	}
	return c
}

// isSecret reports whether t is a Secret, and not a struct that embeds one and so has its methods.
func isSecret(t reflect.Type) bool {
	return t.Kind() == reflect.Struct && t.Implements(secretIface) && t.PkgPath() == ownPath &&
		strings.HasPrefix(t.Name(), "Secret[")
}

// scalarOf returns, for a type with single texts as values, what it expects and its scalarFunc; else nil.
func scalarOf(t reflect.Type) (expect string, set scalarFunc) {
	switch {
	case t == durationType:
		return "a duration like 90s or 1m30s", setDuration
	case t == timeType:
		return "a time like 2006-01-02T15:04:05Z", setTime
	case t == urlType:
		return "a URL", setURL
	case reflect.PointerTo(t).Implements(textType):
		if expect = textExpects[t.String()]; expect == "" {
			expect = "a " + t.String()
		}
		return expect, setText
	}
	switch k := t.Kind(); {
	case k == reflect.String, k == reflect.Slice && t.Elem().Kind() == reflect.Uint8 && t.Elem().PkgPath() == "":
		return "a string", setString
	case k == reflect.Bool:
		return "true or false", setBool
	case k >= reflect.Int && k <= reflect.Uint64:
		return "a whole number", setWhole
	case k == reflect.Float32 || k == reflect.Float64:
		return "a number", setFloat
	}
	return "", nil
}

var textExpects = map[string]string{
	"slog.Level":     "a level: DEBUG, INFO, WARN or ERROR",
	"regexp.Regexp":  "a regular expression",
	"netip.Addr":     "an IP address",
	"net.IP":         "an IP address",
	"netip.AddrPort": "an address and port",
	"netip.Prefix":   "an IP network like 10.0.0.0/8",
}

// fields adds a struct's fields, those of embedded structs in their place.
func (b *planner) fields(c *codec, p planned, prefix []int) {
	t := p.typ
	for i := range t.NumField() {
		sf := t.Field(i)
		key, tagged := sf.Tag.Lookup("key")
		secret := p.secret || sf.Tag.Get("secret") == "true"
		index := append(slices.Clone(prefix), i)
		if sf.Tag.Get("zeros") == "true" && len(prefix) == 0 { // of the struct itself, not of one that embeds it
			if sf.Type.Kind() != reflect.String || key != "-" {
				b.fail(t.String()+"."+sf.Name, "a field for zeros is a string with the tag key:\"-\"")
			}
			c.zeros = index
		}
		if key == "-" {
			continue
		}
		if sf.Anonymous && !tagged {
			inner := sf.Type
			if inner.Kind() == reflect.Struct && !b.isValue(inner) {
				b.fields(c, planned{inner, secret}, index)
				continue
			}
			if inner.Kind() == reflect.Pointer && inner.Elem().Kind() == reflect.Struct {
				b.fail(t.String()+"."+sf.Name,
					"an embedded pointer cannot be flattened: embed the struct, or give it a key tag")
				continue
			}
		}
		if !sf.IsExported() {
			if tagged {
				b.fail(t.String()+"."+sf.Name, "a field with a key must be exported")
			}
			continue
		}
		if key == "" {
			key = snake(sf.Name)
		}
		b.field(c, t, sf, key, index, secret)
	}
}

func (b *planner) isValue(t reflect.Type) bool {
	return t == timeType || t == urlType || isSecret(t) || reflect.PointerTo(t).Implements(textType)
}

func (b *planner) field(c *codec, t reflect.Type, sf reflect.StructField, key string, index []int, secret bool) {
	where := t.String() + "." + sf.Name
	f := field{key: key, name: sf.Name, index: index, doc: sf.Tag.Get("doc"), live: sf.Tag.Get("live") == "true"}
	if old, twice := c.byKey[key]; twice {
		b.fail(where, "the key %s is %s's already", source.QuoteKey(key), c.fields[old].name)
		return
	}
	f.codec = b.make(planned{sf.Type, secret})
	f.secret = secret || f.codec.within() == secretCodec
	var err error
	if f.rules, err = parseRules(sf.Tag.Get("rule"), f.codec.revealedType()); err != nil {
		b.fail(where, "%v", err)
	}
	if f.merge, err = parseMerge(sf.Tag.Get("merge"), f.codec.kind); err != nil {
		b.fail(where, "%v", err)
	}
	c.byKey[key] = len(c.fields)
	c.keys = append(c.keys, key)
	c.fields = append(c.fields, f)
	c.hasSecret = c.hasSecret || f.secret
}

// pointee is the codec under pointers.
func (c *codec) pointee() *codec {
	for c.kind == pointerCodec {
		c = c.elem
	}
	return c
}

// within is the kind under pointers.
func (c *codec) within() codecKind { return c.pointee().kind }

func (c *codec) revealedType() reflect.Type {
	for c.kind == pointerCodec || c.kind == secretCodec {
		c = c.elem
	}
	return c.typ
}

func parseMerge(tag string, kind codecKind) (Merge, error) {
	m, ok := map[string]Merge{"": 0, "deep": Deep, "replace": Replace, "append": Append}[tag]
	if !ok {
		return 0, fmt.Errorf("there is no merge %q: it is deep, replace or append", tag)
	}
	if m == Append && kind != listCodec || m == Deep && kind != mapCodec || m == Replace && kind != listCodec &&
		kind != mapCodec {
		return 0, fmt.Errorf("the merge %s does not fit this type: lists have replace, append; maps deep, replace",
			tag)
	}
	return m, nil
}

// spreadSecrets marks every type that a secret is somewhere within, recursive types included.
func (b *planner) spreadSecrets() {
	for changed := true; changed; {
		changed = false
		for _, c := range b.making {
			has := c.hasSecret || c.elem != nil && c.elem.hasSecret
			for i := range c.fields {
				has = has || c.fields[i].codec.hasSecret
			}
			if has != c.hasSecret {
				c.hasSecret, changed = true, true
			}
		}
	}
}

// snake is the key of a field without a tag: MaxWorkers is max_workers, HTTPPort http_port, SQSURL sqsurl.
func snake(name string) string {
	runes := []rune(name)
	var b strings.Builder
	for i, r := range runes {
		if unicode.IsUpper(r) && i > 0 && runes[i-1] != '_' {
			before := unicode.IsLower(runes[i-1]) || unicode.IsDigit(runes[i-1])
			after := i+1 < len(runes) && unicode.IsLower(runes[i+1]) && unicode.IsUpper(runes[i-1])
			if before || after {
				b.WriteByte('_')
			}
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}
