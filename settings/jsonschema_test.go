package settings_test

import (
	"bytes"
	"encoding/json"
	"math/big"
	"reflect"
	"regexp"
	"strings"
	"unicode/utf8"
)

// validator judges by the part of JSON Schema that Schema uses, and panics on
// any keyword that it does not know, so that none is passed over.
type validator struct{ root map[string]any }

func newValidator(schema []byte) *validator {
	v := &validator{}
	dec := json.NewDecoder(bytes.NewReader(schema))
	dec.UseNumber() // a limit like 9223372036854775807 is not a float64
	if err := dec.Decode(&v.root); err != nil {
		panic(err)
	}
	return v
}

// accepts judges a document; numbers in it are json.Number.
func (v *validator) accepts(doc any) bool { return v.check(v.root, doc) }

func (v *validator) check(s map[string]any, doc any) bool {
	for key, arg := range s {
		if !v.keyword(key, arg, s, doc) {
			return false
		}
	}
	return true
}

func (v *validator) keyword(key string, arg any, s map[string]any, doc any) bool {
	text, isText := doc.(string)
	list, isList := doc.([]any)
	object, isObject := doc.(map[string]any)
	number, isNumber := rat(doc)
	limit, _ := rat(arg)
	switch key {
	case "$schema", "$defs", "description", "default", "writeOnly", "format":
		return true
	case "$ref":
		name := strings.TrimPrefix(arg.(string), "#/$defs/")
		return v.check(v.root["$defs"].(map[string]any)[name].(map[string]any), doc)
	case "type":
		if many, ok := arg.([]any); ok {
			for _, t := range many {
				if isType(t.(string), doc) {
					return true
				}
			}
			return false
		}
		return isType(arg.(string), doc)
	case "anyOf", "allOf":
		count := 0
		for _, inner := range arg.([]any) {
			if v.check(inner.(map[string]any), doc) {
				count++
			}
		}
		return count == len(arg.([]any)) || key == "anyOf" && count > 0
	case "enum":
		for _, e := range arg.([]any) {
			if same(e, doc) {
				return true
			}
		}
		return false
	case "const":
		return same(arg, doc)
	case "pattern":
		return !isText || regexp.MustCompile(arg.(string)).MatchString(text)
	case "minLength", "maxLength":
		return !isText || bound(key, rune0(text), arg)
	case "minItems", "maxItems":
		return !isList || bound(key, len(list), arg)
	case "minProperties", "maxProperties":
		return !isObject || bound(key, len(object), arg)
	case "uniqueItems":
		for i := range list {
			for j := range i {
				if same(list[i], list[j]) {
					return false
				}
			}
		}
		return true
	case "items":
		for _, e := range list {
			if !v.check(arg.(map[string]any), e) {
				return false
			}
		}
		return true
	case "minimum":
		return !isNumber || number.Cmp(limit) >= 0
	case "maximum":
		return !isNumber || number.Cmp(limit) <= 0
	case "exclusiveMinimum":
		return !isNumber || number.Cmp(limit) > 0
	case "required":
		for _, k := range arg.([]any) {
			if _, ok := object[k.(string)]; isObject && !ok {
				return false
			}
		}
		return true
	case "properties":
		for k, inner := range arg.(map[string]any) {
			if e, ok := object[k]; ok && !v.check(inner.(map[string]any), e) {
				return false
			}
		}
		return true
	case "propertyNames":
		for k := range object {
			if !v.check(arg.(map[string]any), k) {
				return false
			}
		}
		return true
	case "additionalProperties":
		props, _ := s["properties"].(map[string]any)
		for k, e := range object {
			if _, known := props[k]; known {
				continue
			}
			if inner, ok := arg.(map[string]any); !ok || !v.check(inner, e) {
				return false
			}
		}
		return true
	}
	panic("unknown keyword: " + key)
}

func rune0(s string) int { return utf8.RuneCountInString(s) }

func bound(key string, n int, arg any) bool {
	limit, _ := rat(arg)
	if strings.HasPrefix(key, "min") {
		return big.NewRat(int64(n), 1).Cmp(limit) >= 0
	}
	return big.NewRat(int64(n), 1).Cmp(limit) <= 0
}

func rat(v any) (*big.Rat, bool) {
	switch x := v.(type) {
	case json.Number:
		return new(big.Rat).SetString(x.String())
	case int:
		return big.NewRat(int64(x), 1), true
	}
	return nil, false
}

func same(a, b any) bool {
	ra, okA := rat(a)
	rb, okB := rat(b)
	if okA && okB {
		return ra.Cmp(rb) == 0
	}
	return okA == okB && reflect.DeepEqual(a, b)
}

func isType(t string, doc any) bool {
	switch x := doc.(type) {
	case nil:
		return t == "null"
	case bool:
		return t == "boolean"
	case string:
		return t == "string"
	case []any:
		return t == "array"
	case map[string]any:
		return t == "object"
	default:
		r, _ := rat(x)
		return t == "number" || t == "integer" && r.IsInt()
	}
}
