package chassis_test

import (
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/settings"
)

var namedTest = regexp.MustCompile("`(Test[A-Za-z0-9_]+)`")

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
	tests := map[string]bool{}
	for name := range declaredTests(t) {
		tests[name[strings.LastIndex(name, ".")+1:]] = true
	}
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

var migratingFile = regexp.MustCompile("(?ms)^```yaml\n# (\\S+)\n(.*?)^```$")

// TestTheFilesOfTheMigrationLoad loads the settings files of the worked example.
func TestTheFilesOfTheMigrationLoad(t *testing.T) {
	page, err := os.ReadFile("docs/migrating.md")
	if err != nil {
		t.Fatal(err)
	}
	var sources []settings.Option
	for _, block := range migratingFile.FindAllStringSubmatch(string(page), -1) {
		sources = append(sources, settings.Bytes(block[1], settings.YAML, []byte(block[2])))
	}
	s, err := chassis.LoadSettings(sources...)
	if err != nil || len(sources) != 2 || s.Tasks.TaskPool != "mailer-tasks" || s.CircuitBreaker.OpenTimeout != 10*time.Minute || s.Queue.Region != "eu-central-1" || s.Log.Format != "stackdriver" {
		t.Errorf("%d files: %+v, %v", len(sources), s, err)
	}
}
