package dispatcher_test

import (
	"os"
	"regexp"
	"testing"
)

// TestTheProtocolOfTheDocIsThatOfTheCode holds the table of doc.go against the
// commands that the actor takes.
func TestTheProtocolOfTheDocIsThatOfTheCode(t *testing.T) {
	compareProtocol(t, `(?s)func pointer\(.*?\n}`, `case (\w+):`)
}

func compareProtocol(t *testing.T, list, entry string) {
	t.Helper()
	code, err := os.ReadFile("messages.go")
	if err != nil {
		t.Fatal(err)
	}
	doc, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	table := regexp.MustCompile(`(?s)//\tmessage +answer +when\n(.*?)\n//\n`).FindSubmatch(doc)
	if table == nil {
		t.Fatal("doc.go has no table of the protocol")
	}
	documented := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^//\t([A-Z]\w+)`).FindAllSubmatch(table[1], -1) {
		documented[string(m[1])] = true
	}
	taken := regexp.MustCompile(entry).FindAllSubmatch(regexp.MustCompile(list).Find(code), -1)
	for _, m := range taken {
		if name := string(m[1]); !documented[name] {
			t.Errorf("%s is not in the table", name)
		} else {
			delete(documented, name)
		}
	}
	for name := range documented {
		t.Errorf("%s is in the table, but is not taken", name)
	}
	if len(taken) < 5 {
		t.Errorf("only %d messages found: this test no longer sees the code", len(taken))
	}
}
