package chassis_test

import (
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// promise is one row of docs/promises.md.
type promise struct {
	line     int
	sentence string
	page     string   // of the module, as in docs/tasks.md
	tests    []string // as in actors/poller.TestLeaseEnds
	reports  []string // as in celery/kombu#337
	outcome  string
}

// surroundings are what a table of promises is held against.
type surroundings struct {
	tests    map[string]bool   // all tests, benchmarks, fuzz targets and storm invariants: see declaredTests
	pages    map[string]string // all pages by their path, see flat
	versions map[string]bool   // the headings of the changelog
}

var (
	promiseLink   = regexp.MustCompile(`^\[(.+)\]\(([^()\s]+)\)$`)
	promiseTest   = regexp.MustCompile("^`([a-z0-9/]+\\.(?:Test|Benchmark|Fuzz)[A-Za-z0-9_]+|chassistest\\.[A-Z][A-Za-z]+)`$")
	promiseReport = regexp.MustCompile(`^\[([A-Za-z0-9-]+/[A-Za-z0-9_.-]+)#([0-9]+)\]\(https://github\.com/([^()\s]+)/issues/([0-9]+)\)$`)
	promiseEnd    = regexp.MustCompile(`^(holds|fixed in ([0-9A-Za-z.]+))(: [^|]+)?$`)
	promiseCounts = regexp.MustCompile(`(?m)^\*\*\d+ promises, .* reports tried\.\*\*$`)
	blanks        = regexp.MustCompile(`\s+`)
)

// flat folds white space, so that a sentence is found over the ends of lines.
func flat(text string) string { return strings.TrimSpace(blanks.ReplaceAllString(text, " ")) }

// promises reads the rows of the tables of a page in docs, and returns what is
// wrong with their form.
func promises(page string) (rows []promise, defects []string) {
	for i, line := range strings.Split(page, "\n") {
		if !strings.HasPrefix(line, "| ") || strings.HasPrefix(line, "| promise ") {
			continue
		}
		p, err := promiseOf(line)
		if err != nil {
			defects = append(defects, fmt.Sprintf("line %d: %v", i+1, err))
			continue
		}
		p.line = i + 1
		rows = append(rows, p)
	}
	return rows, defects
}

func promiseOf(row string) (p promise, err error) {
	cells := strings.Split(strings.Trim(row, "| "), " | ")
	if len(cells) != 4 {
		return p, fmt.Errorf("a row has 4 cells, this one has %d: %s", len(cells), row)
	}
	link := promiseLink.FindStringSubmatch(cells[0])
	if link == nil {
		return p, fmt.Errorf("the promise is no link with a sentence: %s", cells[0])
	}
	file, _, _ := strings.Cut(link[2], "#")
	p.sentence, p.page = flat(link[1]), path.Join("docs", file)
	for test := range strings.SplitSeq(cells[1], ", ") {
		m := promiseTest.FindStringSubmatch(test)
		if m == nil {
			return p, fmt.Errorf("%q names no package and test", test)
		}
		p.tests = append(p.tests, m[1])
	}
	for report := range strings.SplitSeq(cells[2], ", ") {
		m := promiseReport.FindStringSubmatch(report)
		if m == nil || m[1] != m[3] || m[2] != m[4] {
			return p, fmt.Errorf("%q is no link of the form owner/repo#n to that thread", report)
		}
		p.reports = append(p.reports, m[1]+"#"+m[2])
	}
	if p.outcome = cells[3]; !promiseEnd.MatchString(p.outcome) {
		return p, fmt.Errorf("%q is no outcome: write holds, or fixed in a version, and after a colon what is to say", p.outcome)
	}
	return p, nil
}

// promiseDefects returns what is wrong with a page of promises.
func promiseDefects(page string, with surroundings) []string {
	rows, defects := promises(page)
	tests, reports, seen := map[string]bool{}, map[string]bool{}, map[string]int{}
	for _, p := range rows {
		bad := func(format string, args ...any) {
			defects = append(defects, fmt.Sprintf("line %d: %s", p.line, fmt.Sprintf(format, args...)))
		}
		if text, found := with.pages[p.page]; !found {
			bad("there is no page %s", p.page)
		} else if !strings.Contains(text, p.sentence) {
			bad("%s no longer says: %s", p.page, p.sentence)
		}
		if before := seen[p.page+p.sentence]; before != 0 {
			bad("this promise stands at line %d too", before)
		}
		seen[p.page+p.sentence] = p.line
		for _, test := range p.tests {
			if tests[test] = true; !with.tests[test] {
				bad("there is no %s", test)
			}
		}
		for _, report := range p.reports {
			reports[report] = true
		}
		if version := promiseEnd.FindStringSubmatch(p.outcome)[2]; version != "" && !with.versions[version] {
			bad("the changelog has no version %s", version)
		}
	}
	invariants := 0
	for test := range tests {
		if !strings.Contains(test, ".Test") && strings.HasPrefix(test, "chassistest.") {
			invariants++
		}
	}
	want := fmt.Sprintf("**%d promises, %d rows held by %d tests and %d storm invariants, %d reports tried.**",
		len(rows), len(rows), len(tests)-invariants, invariants, len(reports))
	if got := promiseCounts.FindString(page); got != want {
		defects = append(defects, fmt.Sprintf("the top of the page says %q, the rows say %q", got, want))
	}
	return append(defects, unquoted(rows, with.pages)...)
}

// wholly are passages with nothing but promises: each of their sentences has a row.
var wholly = []struct {
	page    string
	passage *regexp.Regexp // on the flat page
	item    *regexp.Regexp // of the passage, with the promises as its group
}{
	{"SECURITY.md", regexp.MustCompile(`largest tests\)\. (- .*?) ## `), regexp.MustCompile(`- ((?:[^-]|-\S)*)`)},
	{"README.md", regexp.MustCompile(`## What it does for you \| \| \| \|---\|---\| (.*?) !\[`), regexp.MustCompile(`\| \*\*[^*]+\*\* \| (.*?) \|`)},
}

// unquoted returns what the passages of wholly promise without a row.
func unquoted(rows []promise, pages map[string]string) (defects []string) {
	for _, w := range wholly {
		text, given := pages[w.page]
		if !given {
			continue
		}
		passage := w.passage.FindStringSubmatch(text)
		if passage == nil {
			defects = append(defects, "the promises of "+w.page+" are not found: this test no longer sees them")
			continue
		}
		rest := passage[1]
		for _, p := range slices.SortedFunc(slices.Values(rows), func(a, b promise) int { return len(b.sentence) - len(a.sentence) }) {
			if p.page == w.page {
				rest = strings.ReplaceAll(rest, p.sentence, "")
			}
		}
		for _, item := range w.item.FindAllStringSubmatch(rest, -1) {
			if left := strings.Trim(item[1], " .,;:"); left != "" {
				defects = append(defects, w.page+" promises without a row: "+left)
			}
		}
	}
	return defects
}

// TestEveryPromiseIsHeld: each promise of the pages has a test that exists, a
// report from other software, and words that still stand where they stood.
func TestEveryPromiseIsHeld(t *testing.T) {
	page, err := os.ReadFile("docs/promises.md")
	if err != nil {
		t.Fatal(err)
	}
	with := surroundings{tests: declaredTests(t), pages: map[string]string{}, versions: map[string]bool{}}
	files, err := filepath.Glob("docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range append(files, "README.md", "SECURITY.md", "CHANGELOG.md") {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		with.pages[filepath.ToSlash(file)] = flat(string(text))
	}
	for _, m := range regexp.MustCompile(`## \[([^\]]+)\]`).FindAllStringSubmatch(with.pages["CHANGELOG.md"], -1) {
		with.versions[m[1]] = true
	}
	delete(with.pages, "docs/promises.md") // it repeats what others say
	for _, defect := range promiseDefects(string(page), with) {
		t.Error("docs/promises.md: " + defect)
	}
}

// TestABadRowOfPromisesIsFound plants one fault at a time into a table without any.
func TestABadRowOfPromisesIsFound(t *testing.T) {
	const good = "**2 promises, 2 rows held by 2 tests and 1 storm invariants, 2 reports tried.**\n\n" +
		"| promise | held by | reports tried | came out |\n|---|---|---|---|\n" +
		"| [Nothing is `lost`.](tasks.md#x) | `task.TestA`, `actors/poller.BenchmarkB` | [o/r#1](https://github.com/o/r/issues/1) | holds |\n" +
		"| [It waits for [you].](../README.md) | `task.TestA`, `chassistest.NotLost` | [o/r#1](https://github.com/o/r/issues/1), [o/r.go#22](https://github.com/o/r.go/issues/22) | fixed in 0.1.0: both |\n"
	with := surroundings{
		tests: map[string]bool{"task.TestA": true, "actors/poller.BenchmarkB": true, "chassistest.NotLost": true},
		pages: map[string]string{
			"docs/tasks.md": "Nothing is `lost`.",
			"README.md":     "It waits for [you]. ## What it does for you | | | |---|---| | **Logs** | It waits for [you]. | ![picture]",
			"SECURITY.md":   "(the largest tests). - Nothing. ## What is not",
		},
		versions: map[string]bool{"0.1.0": true},
	}
	delete(with.pages, "SECURITY.md")
	if defects := promiseDefects(good, with); len(defects) != 0 {
		t.Fatalf("a table without a fault has %q", defects)
	}
	for _, c := range []struct{ what, old, now, want string }{
		{"a test that is not there", "`actors/poller.BenchmarkB`", "`actors/poller.BenchmarkC`", "there is no actors/poller.BenchmarkC"},
		{"a test of another package", "`task.TestA`, ", "`settings.TestA`, ", "there is no settings.TestA"},
		{"an invariant that is not there", "chassistest.NotLost", "chassistest.NotFound", "there is no chassistest.NotFound"},
		{"an invariant of another package", "chassistest.NotLost", "task.NotLost", "names no package and test"},
		{"no test", "`task.TestA`, `chassistest.NotLost` | ", " | ", "names no package and test"},
		{"no report", "| [o/r#1](https://github.com/o/r/issues/1) | holds", "| - | holds", "no link of the form owner/repo#n"},
		{"a report in words", "[o/r#1](https://github.com/o/r/issues/1) | holds", "o/r#1 | holds", "no link of the form owner/repo#n"},
		{"a report that leads elsewhere", "(https://github.com/o/r.go/issues/22)", "(https://github.com/o/r.go/issues/23)", "no link of the form owner/repo#n"},
		{"a sentence that the page has no longer", "Nothing is `lost`.", "Nothing is ever `lost`.", "docs/tasks.md no longer says: Nothing is ever"},
		{"a page that is not there", "tasks.md#x", "task.md#x", "there is no page docs/task.md"},
		{"a promise twice", "| [It waits for [you].](../README.md)", "| [Nothing is `lost`.](tasks.md)", "this promise stands at line 5 too"},
		{"a promise without a link", "[It waits for [you].](../README.md)", "It waits for you.", "no link with a sentence"},
		{"no outcome", " | holds |", " | |", "a row has 4 cells"},
		{"another outcome", " | holds |", " | probably |", "is no outcome"},
		{"a version that is not there", "fixed in 0.1.0", "fixed in 0.9.0", "no version 0.9.0"},
		{"a count of promises", "**2 promises", "**3 promises", "the top of the page says"},
		{"a count of tests", "by 2 tests", "by 3 tests", "the top of the page says"},
		{"a count of invariants", "1 storm", "2 storm", "the top of the page says"},
		{"a count of reports", "2 reports", "3 reports", "the top of the page says"},
		{"no counts", "**2 promises", "2 promises", "the top of the page says"},
		{"a promise of the README without a row", "[It waits for [you].](../README.md)", "[It waits](../README.md)", "README.md promises without a row: for [you]"},
	} {
		page := strings.Replace(good, c.old, c.now, 1)
		if page == good {
			t.Errorf("%s: nothing was planted", c.what)
		}
		if defects := promiseDefects(page, with); !slices.ContainsFunc(defects, func(d string) bool { return strings.Contains(d, c.want) }) {
			t.Errorf("%s: found %q, want %q", c.what, defects, c.want)
		}
	}
	with.pages = maps.Clone(with.pages)
	with.pages["SECURITY.md"] = "(the largest tests). - Nothing. - Nobody. ## What is not"
	if defects := promiseDefects(good, with); len(defects) != 2 {
		t.Errorf("two promises of SECURITY.md without a row: %q", defects)
	}
}
