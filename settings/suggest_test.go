package settings_test

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/sambatech/chassis/settings"
)

// edits is every text one edit away: a letter lost, doubled or added, replaced,
// or swapped with its neighbour.
func edits(s string) map[string]bool {
	out := map[string]bool{}
	const letters = "abcdefghijklmnopqrstuvwxyz_-"
	for i := range len(s) + 1 {
		for _, c := range letters {
			out[s[:i]+string(c)+s[i:]] = true
			if i < len(s) {
				out[s[:i]+string(c)+s[i+1:]] = true
			}
		}
		if i < len(s) {
			out[s[:i]+s[i+1:]] = true
		}
		if i+1 < len(s) {
			out[s[:i]+s[i+1:i+2]+s[i:i+1]+s[i+2:]] = true
		}
	}
	delete(out, s)
	delete(out, "")
	return out
}

// TestOneEditTyposGetTheRightSuggestionFirst asks it of every one-edit typo of
// every key of the contract's layout and of a service's: at least 95 of 100.
func TestOneEditTyposGetTheRightSuggestionFirst(t *testing.T) {
	layouts := map[string][]string{
		"tasks":           {"task_pool", "task_timeout", "workers", "max_workers", "scale_factor", "unknown_tasks_retries", "unknown_tasks_delay", "when_window"},
		"circuit_breaker": {"request_timeout", "open_timeout", "closed_fail_limit", "closed_success_limit", "half_fail_limit", "half_success_limit"},
		"service":         {"name", "level", "db", "replica", "tags", "limits", "ratio", "debug", "site", "only", "since", "cache", "addr", "peers", "matrix"},
		"db":              {"host", "port", "password", "timeout"},
	}
	total, right := 0, 0
	var wrong []string
	for section, keys := range layouts {
		var items []settings.Item
		for _, k := range keys {
			items = append(items, settings.Item{Name: k, Default: "", Type: reflect.TypeFor[string]()})
		}
		layout, err := settings.NewLayout(items...)
		if err != nil {
			t.Fatal(err)
		}
		for _, k := range keys {
			for typo := range edits(k) {
				if strings.Contains(" "+strings.Join(keys, " ")+" ", " "+typo+" ") {
					continue
				}
				total++
				got := settings.Mistakes(layout.Check(settings.Bytes("in", settings.JSON, fmt.Appendf(nil, "{%q: \"\"}", typo))))
				if len(got) == 1 && got[0].Suggestion == k {
					right++
				} else {
					wrong = append(wrong, section+": "+typo+" for "+k)
				}
			}
		}
	}
	share := float64(right) / float64(total)
	t.Logf("%d of %d one-edit typos have the right suggestion first: %.2f %%", right, total, 100*share)
	if share < 0.95 {
		t.Errorf("only %.2f %%; some: %q", 100*share, wrong[:min(20, len(wrong))])
	}
}
