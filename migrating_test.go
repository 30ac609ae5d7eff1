package chassis_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	namedTest = regexp.MustCompile("`(Test[A-Za-z0-9_]+)`")
	testFunc  = regexp.MustCompile(`(?m)^func (Test[A-Za-z0-9_]+)\(`)
)

// TestEveryPromiseOfTheMigrationHasItsTest: what docs/migrating.md says is held
// by a test is, and no test that is named for a section of the contract is
// missing there.
func TestEveryPromiseOfTheMigrationHasItsTest(t *testing.T) {
	page, err := os.ReadFile("docs/migrating.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, found := strings.Cut(string(page), "\n## Held by tests\n")
	if !found {
		t.Fatal("docs/migrating.md has no section \"Held by tests\"")
	}
	tests := testNames(t)
	named, rows := map[string]bool{}, 0
	for row := range strings.Lines(table) {
		if !strings.HasPrefix(row, "| ") || strings.HasPrefix(row, "| promise ") {
			continue
		}
		rows++
		names := namedTest.FindAllStringSubmatch(row, -1)
		if len(names) == 0 {
			t.Errorf("no test is named in %s", row)
		}
		for _, n := range names {
			if named[n[1]] = true; !tests[n[1]] {
				t.Errorf("there is no %s; it is named in %s", n[1], row)
			}
		}
	}
	if rows < 30 {
		t.Errorf("the table has %d rows: some are lost, or this test no longer sees them", rows)
	}
	for name := range tests {
		if strings.HasPrefix(name, "TestCompat") && !named[name] {
			t.Errorf("%s is not in the table of docs/migrating.md", name)
		}
	}
}

func testNames(t *testing.T) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		for _, m := range testFunc.FindAllSubmatch(text, -1) {
			names[string(m[1])] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}
