package settings_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/sambatech/chassis/settings"
)

type schemaInner struct {
	N    int8   `rule:"min=-3,max=100"`
	Must string `rule:"required"`
}

type schemaLayout struct {
	Text     string `rule:"min=1,max=4"`
	Zero     string `rule:"zero,min=2"`
	Lower    string `rule:"lower,trimmed"`
	Upper    string `rule:"upper"`
	Match    string `rule:"zero,match=[a-c]+[0-9]?"`
	One      string `rule:"oneof=a|b c|"`
	Addr     string `rule:"zero,hostport"`
	Number   int
	Small    uint8 `rule:"max=200"`
	Big      uint64
	Port     int     `rule:"port"`
	Coin     int     `rule:"oneof=0|1|2"`
	Ratio    float64 `rule:"min=-1,max=1"`
	F32      float32
	Positive float64 `rule:"zero,positive"`
	On       bool
	Wait     time.Duration
	Bounded  time.Duration `rule:"min=1s,max=10s"`
	Max      int64         `rule:"max=1024"`
	Link     *url.URL
	List     []string `rule:"max=2,each,nonempty"`
	Some     []int    `rule:"min=1,unique"`
	Pair     [2]bool
	Map      map[string]int `rule:"max=2,each,min=0"`
	ByNumber map[int]string
	Inner    schemaInner
	Opt      *schemaInner
	Many     []schemaInner
	Named    map[string]schemaInner
	Secret   settings.Secret[string] `rule:"min=3"`
	Pointer  *int
	Any      any
	Self     *schemaSelf
}

type schemaSelf struct {
	Value int
	Next  *schemaSelf
	All   []schemaSelf
}

func schemaDefaults() schemaLayout {
	return schemaLayout{Text: "x", Port: 1, Bounded: time.Second, Some: []int{1}, Inner: schemaInner{Must: "x"}}
}

// anyValue is any JSON at all that is not an alias: most of it is right for
// some setting and wrong for others.
func anyValue(depth int) *rapid.Generator[any] {
	return rapid.Custom(func(t *rapid.T) any {
		kinds := 7
		if depth <= 0 {
			kinds = 5
		}
		switch rapid.IntRange(0, kinds-1).Draw(t, "kind") {
		case 0:
			return rapid.SampledFrom([]any{nil, true, false}).Draw(t, "const")
		case 1:
			return json.Number(rapid.SampledFrom([]string{"0", "1", "2", "-1", "-0", "1.0", "1.5", "-3", "-4", "100", "101", "127", "128", "200", "201", "255", "256", "1e2", "1E+1", "1024", "1025", "65535", "65536",
				"9223372036", "9223372037", "9223372036854775807", "9223372036854775808", "18446744073709551615", "18446744073709551616", "3.5e38", "0.999", "10", "10.001", "2.0", "1e-5"}).Draw(t, "number"))
		case 2:
			return rapid.SampledFrom([]string{"", "a", "ab", "abc1", "abc12", "A", "É", "é ", " x", "b c", "host:80", "host:65536", ":0", "[::1]:443", "::1:443", "5", "5s", "1m30s", "1h2", "s", "1.5h", "10MiB", "1.5k", "10 XB", "12B", "true", "abcde", "日本語", "日本語日本"}).Draw(t, "text")
		case 3:
			return rapid.StringMatching(`[a-zA-Z0-9: ]{0,6}`).Draw(t, "any text")
		case 4:
			return json.Number(fmt.Sprint(rapid.Int64Range(-300, 300).Draw(t, "int")))
		case 5:
			return rapid.SliceOfN(anyValue(depth-1), 0, 3).Draw(t, "list")
		default:
			return anyObject(rapid.SampledFrom([][]string{{"n", "must"}, {"value", "next", "all"}, {"1", "-5", "40000", "x"}, {"a", "b", "c"}}).Draw(t, "keys"), depth-1).Draw(t, "object")
		}
	})
}

func anyObject(keys []string, depth int) *rapid.Generator[any] {
	return rapid.Custom(func(t *rapid.T) any {
		out := map[string]any{}
		for _, k := range keys {
			if rapid.Bool().Draw(t, "has "+k) {
				out[k] = anyValue(depth).Draw(t, k)
			}
		}
		return out
	})
}

// unsaid is what a schema cannot say, as Schema's comment has it: the range of
// a duration or a size with a unit, and the inner form of a URL.
func unsaid(doc map[string]any) bool {
	_, a := doc["bounded"].(string)
	_, b := doc["max"].(string)
	link, c := doc["link"].(string)
	if _, err := url.Parse(link); c && err != nil {
		return true
	}
	return a || b
}

func TestSchemaAcceptsWhatLoadsAndNothingElse(t *testing.T) {
	layout, err := settings.LayoutOf(schemaDefaults())
	if err != nil {
		t.Fatal(err)
	}
	schema := newValidator(layout.Schema())
	keys := []string{}
	for k := range schema.root["properties"].(map[string]any) {
		keys = append(keys, k)
	}
	accepted, refused := 0, 0
	one := func(t *rapid.T, doc any) {
		var text bytes.Buffer
		enc := json.NewEncoder(&text)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(doc); err != nil {
			t.Fatal(err)
		}
		_, err := settings.Load(schemaDefaults(), settings.Bytes("doc", settings.JSON, text.Bytes()))
		ok := schema.accepts(doc)
		if ok != (err == nil) {
			t.Fatalf("the schema says %v, Load says %v\n%s", ok, err, text.String())
		}
		if ok {
			accepted++
		} else {
			refused++
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		// One setting at a time, so that a document is not refused for another.
		for range 40 {
			key := rapid.SampledFrom(append(keys, "unknown")).Draw(t, "key")
			doc := map[string]any{key: anyValue(3).Draw(t, "value")}
			if !unsaid(doc) {
				one(t, doc)
			}
		}
		both := anyObject(keys[:6], 2).Draw(t, "doc").(map[string]any)
		if !unsaid(both) {
			one(t, both)
		}
	})
	if accepted == 0 || refused == 0 {
		t.Errorf("%d accepted, %d refused: the test shows nothing", accepted, refused)
	}
	t.Logf("%d accepted, %d refused, as Load does", accepted, refused)
}

func TestSchemaListsWhatIsRequired(t *testing.T) {
	layout := items(t, settings.Item{Name: "a.b", Type: reflect.TypeFor[string]()}, settings.Item{Name: "c", Default: 0, Rules: "min=1"})
	schema := newValidator(layout.Schema())
	for text, want := range map[string]bool{`{}`: false, `{"a": {"b": "x"}}`: false, `{"a": {"b": "x"}, "c": 1}`: true, `{"a": {}, "c": 1}`: false, `{"a": null, "c": 1}`: false} {
		var doc any
		dec := json.NewDecoder(bytes.NewReader([]byte(text)))
		dec.UseNumber()
		if err := dec.Decode(&doc); err != nil {
			t.Fatal(err)
		}
		err := layout.Check(settings.Bytes("doc", settings.JSON, []byte(text)))
		if got := schema.accepts(doc); got != want || (err == nil) != want {
			t.Errorf("%s: the schema says %v, Load %v", text, got, err)
		}
	}
}
