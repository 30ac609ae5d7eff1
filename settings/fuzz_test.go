package settings_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sambatech/chassis/settings"
)

var fuzzFormats = []settings.Format{settings.YAML, settings.TOML, settings.JSON, settings.ENV}

func fuzzSource(t *testing.T, format settings.Format, data []byte) settings.Option {
	if format != settings.ENV {
		return settings.Bytes("in", format, data)
	}
	path := filepath.Join(t.TempDir(), "in")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return settings.DotEnv("APP", path)
}

// FuzzLoad: whatever the file, the loader gives a value or Errors that stand
// within the file, and what loads can be explained.
func FuzzLoad(f *testing.F) {
	for i, file := range []string{"yaml.txt", "toml.txt", "json.txt", "dotenv.txt"} {
		raw, err := os.ReadFile(filepath.Join("testdata", "broken", file))
		if err != nil {
			f.Fatal(err)
		}
		for part := range strings.SplitSeq(strings.ReplaceAll(string(raw), marker, ""), "----\n") {
			text, _, _ := strings.Cut(part, "-> ")
			f.Add(uint8(i), []byte(text))
		}
	}
	for i, text := range []string{fullYAML, fullTOML, fullJSON} {
		f.Add(uint8(i), []byte(text))
	}
	f.Add(uint8(0), []byte("a: &a [x,x]\nb: &b [*a,*a]\nc: &c [*b,*b]\nlimits: {<<: *c}"))
	layout, err := settings.LayoutOf(defaults())
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, format uint8, data []byte) {
		source := fuzzSource(t, fuzzFormats[int(format)%len(fuzzFormats)], data)
		_, err := settings.Load(defaults(), source)
		_, explained := layout.Explain(source)
		if (err == nil) != (explained == nil) {
			t.Fatalf("Load says %v, Explain %v", err, explained)
		}
		if err == nil {
			return
		}
		var es settings.Errors
		if !errors.As(err, &es) || len(es) == 0 {
			t.Fatalf("not Errors: %v", err)
		}
		breaks := strings.NewReplacer("\r\n", "\n", "\r", "\n") // a line of yaml ends by either
		lines := strings.Split(breaks.Replace(strings.TrimPrefix(string(data), "\ufeff")), "\n")
		for _, e := range es {
			if e.Problem == "" || e.Pos.Line < 0 || e.Pos.Line > len(lines)+1 || e.Pos.Column < 0 {
				t.Fatalf("%+v of %d lines", e, len(lines))
			}
		}
	})
}

// FuzzSecret: whatever stands around a secret in its place, the secret is in
// no output.
func FuzzSecret(f *testing.F) {
	for _, around := range []string{"", "\"", "'", "*", "&", "!", "!!", "|", ">", "%", "@", "`", "\\", ".", "..", "#", " #", "\t", "- ", "=", "${", "\"\\q", "0x", "1e", "{\"", "\x00", "\xff", "['", "!!int ", "!!binary "} {
		f.Add(around, "", uint8(0))
		f.Add(around, around, uint8(1))
		f.Add("", around, uint8(2))
		f.Add(around, "", uint8(3))
	}
	type layout struct {
		Token  settings.Secret[string]   `rule:"match=no"`
		Number settings.Secret[int]      `rule:"min=5"`
		List   []settings.Secret[string] `rule:"max=0"`
		Plain  string                    `secret:"true" rule:"oneof=a"`
		Name   string                    `rule:"oneof=b"`
		Size   int64
	}
	described, err := settings.LayoutOf(layout{})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, before, after string, format uint8) {
		if strings.ContainsAny(before+after, "\n\r:?{},=[]") || strings.Contains(before+after, canary[:6]) {
			return // it may become a key, and keys are no secrets
		}
		v := before + canary + after
		quoted, _ := json.Marshal(v)
		texts := map[settings.Format]string{
			settings.YAML: fmt.Sprintf("token: %s\nnumber: %s\nlist: [%s]\nplain: %s\nname: .token\nsize: .list.0\n", v, v, v, v),
			settings.TOML: fmt.Sprintf("token = %s\nnumber = %s\nplain = %s\nname = \".token\"\n", v, quoted, quoted),
			settings.JSON: fmt.Sprintf(`{"token": %s, "number": %s, "list": [%s], "plain": %s, "name": ".token", "size": ".list.0"}`, quoted, quoted, quoted, quoted),
			settings.ENV:  fmt.Sprintf("APP_TOKEN=%s\nAPP_NUMBER=%s\nAPP_LIST=%s\nAPP_PLAIN=%s\nAPP_NAME=.token\n", v, v, v, v),
		}
		kind := fuzzFormats[int(format)%len(fuzzFormats)]
		source := fuzzSource(t, kind, []byte(texts[kind]))
		entries, err := described.Explain(source, settings.Environ("APP", []string{"APP_LIST__0=" + v, "APP_NUMBER=" + v}))
		var b strings.Builder
		if err := settings.WriteExplain(&b, entries); err != nil {
			t.Fatal(err)
		}
		got, loadErr := settings.Load(layout{}, source, settings.AllowUnknown())
		out := b.String() + outputs(t, entries) + outputs(t, got) + outputs(t, settings.Diff(got, layout{Plain: v, Token: settings.NewSecret(v)}))
		for _, err := range []error{err, loadErr} {
			if err != nil {
				raw, _ := json.Marshal(settings.Mistakes(err))
				out += outputs(t, err) + string(raw)
				for _, e := range settings.Mistakes(err) {
					out += outputs(t, *e) + fmt.Sprintf("%+v", errors.Unwrap(e))
				}
			}
		}
		// The struct's own plain string is the user's to keep from printing.
		if got.Plain == "" && strings.Contains(out, canary) {
			t.Fatalf("%s is shown in %v\n%v", texts[kind], err, loadErr)
		}
	})
}
