package settings_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sambatech/chassis/settings"
)

const marker = "⟦"

// A broken input is a file with a marker at each mistake's place and a line
// "-> kind suggestion" for each mistake: kind "line" is a syntax mistake with
// a line that counts and a column that does not.
type brokenInput struct {
	name, text string
	want       []wantedMistake
}

type wantedMistake struct {
	line, col  int
	kind       string
	suggestion string
}

func brokenInputs(t *testing.T, file string) []brokenInput {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", "broken", file))
	if err != nil {
		t.Fatal(err)
	}
	_, body, _ := strings.Cut(string(raw), "\n")
	var out []brokenInput
	for i, part := range strings.Split(body, "----\n") {
		in := brokenInput{name: fmt.Sprintf("%s/%d", file, i)}
		var lines []string
		var kinds []string
		for line := range strings.Lines(part) {
			if rest, ok := strings.CutPrefix(line, "-> "); ok {
				kinds = append(kinds, strings.TrimSpace(rest))
				continue
			}
			lines = append(lines, line)
		}
		for n, line := range lines {
			for {
				before, after, ok := strings.Cut(line, marker)
				if !ok {
					break
				}
				if len(in.want) == len(kinds) {
					t.Fatalf("%s: more places than kinds", in.name)
				}
				kind, suggestion, _ := strings.Cut(kinds[len(in.want)], " ")
				in.want = append(in.want, wantedMistake{n + 1, len([]rune(before)) + 1, kind, suggestion})
				line = before + after
			}
			in.text += line
		}
		if len(in.want) != len(kinds) {
			t.Fatalf("%s: %d places, %d kinds", in.name, len(in.want), len(kinds))
		}
		in.text = strings.TrimSuffix(in.text, "\n")
		out = append(out, in)
	}
	return out
}

// TestBrokenInputs holds every mistake of every input to its exact line and
// column, its kind, and the suggestion that is written next to it, and to
// being all that is reported.
func TestBrokenInputs(t *testing.T) {
	total := 0
	for file, format := range map[string]settings.Format{"yaml.txt": settings.YAML, "json.txt": settings.JSON, "toml.txt": settings.TOML, "dotenv.txt": settings.ENV} {
		inputs := brokenInputs(t, file)
		total += len(inputs)
		for _, in := range inputs {
			t.Run(in.name, func(t *testing.T) { checkBroken(t, in, format) })
		}
	}
	if total < 200 {
		t.Errorf("the corpus has %d inputs", total)
	}
	t.Logf("%d inputs", total)
}

func checkBroken(t *testing.T, in brokenInput, format settings.Format) {
	source := settings.Bytes("in", format, []byte(in.text))
	if format == settings.ENV {
		path := filepath.Join(t.TempDir(), "in")
		if err := os.WriteFile(path, []byte(in.text), 0o600); err != nil {
			t.Fatal(err)
		}
		source = settings.DotEnv("APP", path)
	}
	_, err := settings.Load(defaults(), source)
	got := settings.Mistakes(err)
	ok := len(got) == len(in.want)
	for i := 0; ok && i < len(got); i++ {
		g, w := got[i], in.want[i]
		kind := w.kind
		if kind == "line" {
			kind, w.col = "syntax", g.Pos.Column
		}
		ok = g.Pos.Line == w.line && g.Pos.Column == w.col && g.Kind.String() == kind && g.Suggestion == w.suggestion
	}
	if !ok {
		t.Errorf("%s\nwant %v\ngot  %v", in.text, in.want, err)
	}
}
