package settings_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/sambatech/chassis/settings"
)

// TestHostileInputEndsSoon reads inputs that make a careless reader go on for
// hours, ask for gigabytes, or overflow its stack. That it ends is all that is
// asked here, within the time that go test gives; the slowest takes a second.
func TestHostileInputEndsSoon(t *testing.T) {
	if raceEnabled {
		t.Skip("minutes under the race detector, for code on one goroutine")
	}
	const n = 30_000
	rep := strings.Repeat
	gen := func(f string) string {
		var b strings.Builder
		for i := range n / 10 {
			fmt.Fprintf(&b, f, i, i)
		}
		return b.String()
	}
	laughs := func() string {
		var b strings.Builder
		b.WriteString("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n")
		for i := 1; i < 12; i++ {
			fmt.Fprintf(&b, "a%d: &a%d [*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d]\n", i, i, i-1, i-1, i-1, i-1, i-1, i-1, i-1, i-1, i-1)
		}
		return b.String()
	}
	dots := func() string {
		var b strings.Builder
		b.WriteString("a0: [x,x,x,x,x,x,x,x,x,x]\n")
		for i := 1; i < 12; i++ {
			fmt.Fprintf(&b, "a%d: [%s]\n", i, strings.TrimSuffix(rep(fmt.Sprintf(".a%d,", i-1), 10), ","))
		}
		b.WriteString("labels: .a11\nlimits: {a: .a11}\nnames: .a11\n")
		return b.String()
	}
	cases := []struct {
		name   string
		format settings.Format
		text   string
		want   string
	}{
		{"yaml flow open", settings.YAML, "a: " + rep("[", n), "never closed"},
		{"yaml flow open maps", settings.YAML, "a: " + rep("{a: ", n/4), ""},
		{"yaml flow 9000", settings.YAML, "a: " + rep("[", 9000) + rep("]", 9000), ""},
		{"yaml flow 9000 maps", settings.YAML, "a: " + rep("{a: ", 9000) + rep("}", 9000), ""},
		{"yaml seq indent", settings.YAML, "a:\n " + rep("- ", n/2), "10000 deep"},
		{"yaml nested blocks", settings.YAML, func() string {
			var b strings.Builder
			for i := range 700 {
				b.WriteString(rep(" ", i) + "a:\n")
			}
			return b.String()
		}(), ""},
		{"yaml ? ?", settings.YAML, rep("? ", n/2), "10000 deep"},
		{"yaml comments", settings.YAML, gen("# c%d%d\n"), ""},
		{"yaml comments2", settings.YAML, gen("a%d: 1 # c%d\n"), ""},
		{"yaml keys", settings.YAML, gen("k%d: v%d\n"), "more than 1000 mistakes"},
		{"yaml dup keys", settings.YAML, rep("k: v\n", n/5), ""},
		{"yaml merge", settings.YAML, "b: &b {" + gen("k%d: %d, ") + "}\nlimits:\n  <<: *b\n", ""},
		{"yaml aliases dots", settings.YAML, gen("k%d: .x%d\n"), ""},
		{"yaml laughs", settings.YAML, laughs() + "limits: {<<: *a11}\n", "anchors grow"},
		{"yaml laughs2", settings.YAML, laughs() + "labels: *a11\n", "anchors grow"},
		{"dots laughs", settings.YAML, dots(), ""},
		{"yaml anchors", settings.YAML, gen("k%d: &a%d 1\n"), ""},
		{"yaml colons", settings.YAML, rep("a:", n/2), ""},
		{"yaml colons sp", settings.YAML, rep("a: ", n/3), ""},
		{"yaml dashes", settings.YAML, rep("-", n), ""},
		{"yaml quote", settings.YAML, "a: \"" + rep("x", n), ""},
		{"yaml quote lines", settings.YAML, "a: \"" + rep("x\n", n/2), ""},
		{"yaml tabs", settings.YAML, "a: 1\n" + gen("k%d: %d\n") + "\tb: 1\n", ""},
		{"yaml bad end", settings.YAML, gen("k%d: %d\n") + "b: [\n", ""},
		{"yaml bad begin", settings.YAML, "b: ]\n" + gen("k%d: %d\n"), ""},
		{"yaml one line flow bad", settings.YAML, "b: [" + gen("%d, %d,") + "}\n", ""},
		{"yaml long number", settings.YAML, "workers: " + rep("9", n), ""},
		{"yaml docs", settings.YAML, rep("---\na: 1\n", n/9), ""},
		{"yaml percents", settings.YAML, rep("%a\n", n/3), ""},
		{"yaml bangs", settings.YAML, rep("!", n), ""},
		{"yaml stars", settings.YAML, rep("*a ", n/3), ""},
		{"yaml amps", settings.YAML, rep("&a ", n/3), ""},
		{"yaml pipes", settings.YAML, rep("a: |\n", n/5), ""},
		{"yaml blank lines", settings.YAML, rep("\n", n) + "a: ]", ""},
		{"yaml long key", settings.YAML, rep("x", n) + ": 1", ""},
		{"yaml nul", settings.YAML, "a: \x00", "1:4: expected text, found a NUL byte"},
		{"json open", settings.JSON, "{\"a\":" + rep("[", n), "10000 deep"},
		{"json deep", settings.JSON, "{\"a\":" + rep("[", 9000) + rep("]", 9000) + "}", ""},
		{"json deeper", settings.JSON, "{\"a\":" + rep("[", n) + rep("]", n) + "}", "10000 deep"},
		{"json one line", settings.JSON, "{" + gen("\"k%d\":%d,") + "\"z\":1}", "more than 1000 mistakes"},
		{"json list", settings.JSON, "{\"names\":[" + gen("\"%d\",%d,") + "1]}", ""},
		{"json lines", settings.JSON, "{" + gen("\"k%d\":%d,\n") + "\"z\":1}", ""},
		{"toml keys", settings.TOML, gen("k%d = %d\n"), ""},
		{"toml dup", settings.TOML, rep("k = 1\n", n/6), ""},
		{"toml tables", settings.TOML, gen("[t%d.u%d]\n"), ""},
		{"toml same table", settings.TOML, rep("[a]\n", n/4), ""},
		{"toml aot", settings.TOML, rep("[[a]]\n", n/6), ""},
		{"toml dotted", settings.TOML, "a" + rep(".a", n/2) + " = 1", "1000 deep"},
		{"toml header dotted", settings.TOML, "[a" + rep(".a", n/2) + "]", "1000 deep"},
		{"toml deep", settings.TOML, "a = " + rep("[", n), "1000 deep"},
		{"toml deep inline", settings.TOML, "a = " + rep("{a=", n/3), "1000 deep"},
		{"toml inline list", settings.TOML, "names = [" + gen("%d,%d,") + "]", ""},
		{"toml inline table", settings.TOML, "t = {" + gen("k%d=%d,") + "z=1}", ""},
		{"toml strings", settings.TOML, "a = '" + rep("x", n), ""},
		{"env keys", settings.ENV, gen("APP_K%d=%d\n"), "more than 1000 mistakes"},
		{"env dup", settings.ENV, rep("APP_K=1\n", n/8), ""},
		{"env bad", settings.ENV, rep("=\n", n/2), ""},
		{"env quote", settings.ENV, rep("A=\"\n", n/4), ""},
		{"env quote2", settings.ENV, rep("A='x\n", n/5), ""},
		{"env deep", settings.ENV, "APP_A" + rep("__A", n/3) + "=1", ""},
		{"env list", settings.ENV, "APP_NAMES=" + rep("a,", n/2), ""},
		{"env json", settings.ENV, "APP_LIMITS=" + rep("[", n), ""},
		{"env json2", settings.ENV, "APP_NAMES='[" + gen("%d,%d,") + "1]'", ""},
	}
	layout, err := settings.LayoutOf(defaults())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			source := fuzzSource(t, c.format, []byte(c.text))
			_, err := settings.Load(defaults(), source)
			_, explained := layout.Explain(source)
			if (err == nil) != (explained == nil) {
				t.Errorf("Load says %v, Explain %v", err, explained)
			}
			if reported := settings.Mistakes(err); len(reported) > 2002 {
				t.Errorf("%d mistakes are reported", len(reported))
			}
			if want := c.want; want != "" && !strings.Contains(fmt.Sprint(err), want) {
				t.Errorf("got %.300v, want %q", err, want)
			}
		})
	}
}

// nothing stops a file from being written in another encoding, or from being
// no file.
func TestFilesThatCannotBeRead(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	fifo := filepath.Join(dir, "fifo.yaml")
	mkfifo(t, fifo)
	missing := filepath.Join(dir, "missing")
	for _, c := range []struct {
		source settings.Option
		want   string
	}{
		{settings.File(fifo), "fifo.yaml: cannot be read: is a pipe, socket or device, expected a file"},
		{settings.File(write("large.yaml", strings.Repeat("# a line\n", 1_200_000))), "large.yaml: cannot be read: it is larger than 4 MiB"},
		{settings.Bytes("large.json", settings.JSON, make([]byte, 5<<20)), "large.json: it is larger than 4 MiB"},
		{settings.File(write("le.yaml", "\xff\xfea\x00:\x00")), "le.yaml:1:1: expected UTF-8 text, found UTF-16"},
		{settings.File(write("be.toml", "\xfe\xff\x00a")), "be.toml:1:1: expected UTF-8 text, found UTF-16"},
		{settings.File(write("bare.yaml", "a\x00:\x00")), "bare.yaml:1:2: expected text, found a NUL byte"},
		{settings.File(write("latin.yaml", "a: 1\nb: caf\xe9\n")), "latin.yaml:2:7: expected UTF-8 text"},
		{settings.Environ("APP", []string{"APP_TOKEN_FILE=" + fifo}), "token: the file " + fifo + " cannot be read: is a pipe"},
		{settings.Environ("APP", []string{"APP_TOKEN_FILE=" + dir}), "token: the file " + dir + " cannot be read: is a directory"},
		{settings.Environ("APP", []string{"APP_TOKEN_FILE=" + missing}), "token: the file " + missing + " cannot be read: " + syscall.ENOENT.Error()},
		{settings.Environ("APP", []string{"APP_TOKEN_FILE=" + canary}), "token: the file that it names cannot be read: " + syscall.ENOENT.Error()},
		{settings.Environ("APP", []string{"APP_TOKEN_FILE=/" + canary}), "token: the file that it names cannot be read: " + syscall.ENOENT.Error()},
		{settings.Environ("APP", []string{"APP_TOKEN_FILE=/dev/zero"}), "token: the file /dev/zero cannot be read: is a pipe, socket or device"},
	} {
		_, err := settings.Load(small{}, c.source)
		if text := fmt.Sprintf("%v %+v", err, errors.Unwrap(err)); !strings.Contains(text, c.want) || strings.Contains(text, canary) {
			t.Errorf("got %.300s, want %q", text, c.want)
		}
	}
}

// A byte order mark and Windows' line ends are no part of any value.
func TestByteOrderMarkAndCarriageReturns(t *testing.T) {
	for format, text := range map[settings.Format]string{
		settings.YAML: "\ufeffa: x\r\nlist:\r\n  - p\r\n  - q\r\nn: 7\r\n",
		settings.TOML: "\ufeffa = 'x'\r\nlist = ['p',\r\n 'q']\r\nn = 7\r\n",
		settings.JSON: "\ufeff{\"a\": \"x\",\r\n\"list\": [\"p\",\r\n\"q\"],\r\n\"n\": 7}\r\n",
		settings.ENV:  "\ufeffAPP_A=x\r\nAPP_LIST=p,q\r\nAPP_N='7'\r\n",
	} {
		got, err := settings.Load(small{}, fuzzSource(t, format, []byte(text)))
		if err != nil || got.A != "x" || got.N != 7 || !slices.Equal(got.List, []string{"p", "q"}) {
			t.Errorf("%v: got %+v, %v", format, got, err)
		}
	}
}
