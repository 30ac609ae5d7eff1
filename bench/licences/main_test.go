package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const mit = `Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated documentation files (the "Software"), to deal in the Software without restriction, including without limitation the rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit persons to whom the Software is furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
`

func TestClassify(t *testing.T) {
	for text, want := range map[string]string{
		mit:                             "MIT",
		"All rights reserved. Ask us.":  "an unknown licence",
		"":                              "an unknown licence",
		strings.Repeat("No. ", 400):     "an unknown licence",
		"MIT\n" + strings.ToUpper(mit):  "MIT",
		mit + strings.Repeat("and ", 9): "MIT",
	} {
		if got := strings.Join(classify([]byte(text)), ","); got != want {
			t.Errorf("%.40q: %s, want %s", text, got, want)
		}
	}
}

func TestAPackageStandsUnderTheLicencesAboveItToo(t *testing.T) {
	dir := t.TempDir()
	inner := filepath.Join(dir, "internal", "copied")
	if err := os.MkdirAll(inner, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		filepath.Join(dir, "LICENSE"):        mit,
		filepath.Join(dir, "NOTICE.txt"):     "thanks",
		filepath.Join(dir, "license.go"):     "package x",
		filepath.Join(inner, "LICENSE.txt"):  "Ours alone.",
		filepath.Join(inner, "copying_it.x"): "no licence",
	} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	m := &module{Dir: dir}
	if err := m.read(inner); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(m.licences, ","); got != "MIT,an unknown licence" || !m.notice {
		t.Errorf("%s, notice %v", got, m.notice)
	}
}
