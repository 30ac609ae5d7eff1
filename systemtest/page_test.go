package systemtest_test

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestTheAddressesOnThePageAreThoseOfASystem holds docs/actors.md, its table of
// addresses and its tree, against the addresses that the other tests use.
func TestTheAddressesOnThePageAreThoseOfASystem(t *testing.T) {
	text, err := os.ReadFile("../docs/actors.md")
	if err != nil {
		t.Fatal(err)
	}
	_, part, _ := strings.Cut(string(text), "\n## Addresses\n")
	part, rest, _ := strings.Cut(part, "\n## ")
	_, tree, _ := strings.Cut(rest, "```\n")
	tree, _, _ = strings.Cut(tree, "```\n")
	found := map[string]bool{}
	for _, row := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\|").FindAllStringSubmatch(part, -1) {
		name := strings.ReplaceAll(row[1], "<pool>", "mails")
		found[name] = true
		if _, ok := addresses[name]; !ok {
			t.Errorf("the table has %s, which no system has", name)
		}
		short, _, _ := strings.Cut(row[1], "/https")
		if !strings.Contains(tree, short) {
			t.Errorf("the tree does not have %s", row[1])
		}
	}
	for name := range addresses {
		if !found[name] {
			t.Errorf("the table does not have %s", name)
		}
	}
}
