package actors_test

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// TestTheProtocolOfTheDocIsThatOfTheCode holds the tables in doc.go of packages
// against the commands that their actors take.
func TestTheProtocolOfTheDocIsThatOfTheCode(t *testing.T) {
	for _, dir := range []string{"breaker", "dispatcher", "lifecycle", "logger", "poller", "shares"} {
		t.Run(dir, func(t *testing.T) {
			read := func(name string) []byte {
				text, err := os.ReadFile(filepath.Join(dir, name))
				if err != nil {
					t.Fatal(err)
				}
				return text
			}
			table := regexp.MustCompile(`(?s)//\tmessage +answer +when\n(.*?)\n//\n`).FindSubmatch(read("doc.go"))
			if table == nil {
				t.Fatal("doc.go has no table of the protocol")
			}
			documented := map[string]bool{}
			for _, m := range regexp.MustCompile(`(?m)^//\t([A-Z]\w+)`).FindAllSubmatch(table[1], -1) {
				documented[string(m[1])] = true
			}
			file, cases := "messages.go", regexp.MustCompile(`case (\w+):`)
			if dir == "lifecycle" || dir == "logger" { // their switches take both forms
				file, cases = "actor.go", regexp.MustCompile(`case \*([A-Z]\w+)`)
			}
			list := regexp.MustCompile(`(?s)func (?:pointer|byPointer|\(. \*\w+\) Receive)\(.*?\n}`).Find(read(file))
			taken := cases.FindAllSubmatch(list, -1)
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
			if len(taken) < 3 {
				t.Errorf("only %d messages found: this test no longer sees the code", len(taken))
			}
		})
	}
}
