package watch

import (
	"strings"
	"testing"
)

func TestWhatIsHalfWrittenIsTakenForWhole(t *testing.T) {
	file := func(keys string, size int64) contents {
		c := contents{files: map[string]fingerprint{"/a.yaml": {target: "/a.yaml", size: size, at: size}, "/token": {target: "/token", size: 6}}, keys: map[string]map[string]bool{}}
		for k := range strings.FieldsSeq(keys) {
			if c.keys["/a.yaml"] == nil {
				c.keys["/a.yaml"] = map[string]bool{}
			}
			c.keys["/a.yaml"][k] = true
		}
		return c
	}
	with := func(c contents, name string, change func(*fingerprint)) contents {
		p := c.files[name]
		change(&p)
		c.files[name] = p
		return c
	}
	held := file("a b.c", 20)
	for name, c := range map[string]struct {
		seen contents
		want wholeness
		lost string
	}{
		"the same":               {file("a b.c", 20), whole, ""},
		"longer":                 {file("a b.c d", 30), whole, ""},
		"shorter":                {file("a b.c", 19), doubtful, ""},
		"cut within a line":      {with(file("a b.c d", 30), "/a.yaml", func(p *fingerprint) { p.cut = true }), doubtful, ""},
		"a key less":             {file("a", 10), shrunk, "/a.yaml no longer gives b.c: "},
		"a key for another":      {file("a d", 20), shrunk, "/a.yaml no longer gives b.c: "},
		"all keys for others":    {file("d", 30), shrunk, "/a.yaml no longer gives a and 1 more: "},
		"empty":                  {file("", 0), gone, "/a.yaml is empty: "},
		"comments alone":         {file("", 30), gone, "/a.yaml is empty: "},
		"missing":                {with(file("", 0), "/a.yaml", func(p *fingerprint) { p.target = "" }), gone, "/a.yaml is not there any more: "},
		"a secret for another":   {with(file("a b.c", 20), "/token", func(p *fingerprint) { p.size, p.at = 7, 1 }), whole, ""},
		"a secret that is empty": {with(file("a b.c", 20), "/token", func(p *fingerprint) { p.size = 0 }), gone, "/token is empty: "},
		"a link to another file": {with(file("a", 10), "/a.yaml", func(p *fingerprint) { p.target, p.cut = "/2/a.yaml", true }), whole, ""},
		"a link to an empty one": {with(file("", 0), "/a.yaml", func(p *fingerprint) { p.target = "/2/a.yaml" }), gone, "/a.yaml is empty: "},
		"a new file":             {with(file("a b.c", 20), "/b.yaml", func(p *fingerprint) { p.size, p.target = 7, "/b.yaml" }), whole, ""},
	} {
		got, lost := judge(held, c.seen)
		text := ""
		if lost != nil {
			text = lost.Error()
		}
		if got != c.want || !strings.HasPrefix(text, c.lost) || c.lost == "" && text != "" {
			t.Errorf("%s: %d, %q; want %d, %q", name, got, text, c.want, c.lost)
		}
	}
}
