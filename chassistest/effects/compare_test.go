package effects

import (
	"errors"
	"fmt"
	"testing"
)

func post(run int, url, key, body string) *Effect {
	return &Effect{Kind: HTTP, Name: "POST " + url, Key: key, Detail: body, Run: run, Made: true}
}

func put(run int, url string) *Effect {
	return &Effect{Kind: HTTP, Name: "PUT " + url, Run: run, Made: true}
}

func sent(run int, name, id string) *Effect {
	return &Effect{Kind: Send, Name: name, Key: id, Run: run, Made: true}
}

func statement(run int, text, args string) *Effect {
	return &Effect{Kind: SQL, Name: text, Detail: args, Run: run, Made: true, Changed: 1}
}

// with changes an effect.
func with(e *Effect, change func(*Effect)) *Effect { change(e); return e }

func notMade(e *Effect) { e.Made = false }
func undone1(e *Effect) { e.Undone = true }
func unchanged(e *Effect) {
	e.Changed = 0
}

func TestCompare(t *testing.T) {
	for name, c := range map[string]struct {
		whole, all []*Effect
		byState    bool
		want       string
	}{
		"nothing":              {nil, nil, false, "[]"},
		"the same key":         {list(post(1, "u", "k", "b")), list(post(1, "u", "k", "b"), post(2, "u", "k", "b")), false, "[]"},
		"no key":               {list(post(1, "u", "", "b")), list(post(1, "u", "", "b"), post(2, "u", "", "b")), false, "[repeated]"},
		"a new key":            {list(post(1, "u", "k1", "b")), list(post(1, "u", "k2", "b"), post(2, "u", "k3", "b")), false, "[repeated]"},
		"another body":         {list(post(1, "u", "k", "b")), list(post(1, "u", "k", "b"), post(2, "u", "k", "c")), false, "[repeated]"},
		"the rest of the work": {list(post(1, "u", "k", "b"), post(1, "u", "l", "b")), list(post(1, "u", "k", "b"), post(2, "u", "l", "b")), false, "[]"},
		"twice in the whole run": {list(post(1, "u", "", "b"), post(1, "u", "", "b")),
			list(post(1, "u", "", "b"), post(2, "u", "", "b")), false, "[]"},
		"once more than in the whole run": {list(post(1, "u", "", "b"), post(1, "u", "", "b")),
			list(post(1, "u", "", "b"), post(2, "u", "", "b"), post(2, "u", "", "b")), false, "[repeated]"},
		"not made in the first run": {list(post(1, "u", "", "b")), list(with(post(1, "u", "", "b"), notMade), post(2, "u", "", "b")), false, "[]"},
		"never made":                {list(post(1, "u", "k", "b")), list(with(post(1, "u", "k", "b"), notMade)), false, "[lost]"},
		"one of two made":           {list(post(1, "u", "", "b"), post(1, "u", "", "b")), list(post(1, "u", "", "b")), false, "[lost]"},
		"made again, and one lost": {list(post(1, "u", "k", "b"), post(1, "u", "l", "b")),
			list(post(1, "u", "k", "b"), post(2, "u", "k", "b")), false, "[lost]"},
		"put again":                 {list(put(1, "u")), list(put(1, "u"), put(2, "u")), false, "[]"},
		"put elsewhere":             {list(put(1, "u1")), list(put(1, "u2"), put(2, "u3")), false, "[repeated]"},
		"put elsewhere, once":       {list(put(1, "u1")), list(with(put(1, "u2"), notMade), put(2, "u3")), false, "[]"},
		"the same task":             {list(sent(1, "t", "a")), list(sent(1, "t", "a"), sent(2, "t", "a")), false, "[]"},
		"another task":              {list(sent(1, "t", "a")), list(sent(1, "t", "b"), sent(2, "t", "c")), false, "[repeated]"},
		"a statement by its text":   {list(statement(1, "UPDATE t SET n = n + 1", "")), list(statement(1, "UPDATE t SET n = n + 1", ""), statement(2, "UPDATE t SET n = n + 1", "")), false, "[repeated]"},
		"that changed nothing":      {list(statement(1, "INSERT INTO t", "[1]")), list(statement(1, "INSERT INTO t", "[1]"), with(statement(2, "INSERT INTO t", "[1]"), unchanged)), false, "[]"},
		"by the state":              {list(statement(1, "UPDATE t SET n = n + 1", "")), list(statement(1, "UPDATE t SET n = n + 1", ""), statement(2, "UPDATE t SET n = n + 1", "")), true, "[]"},
		"a statement rolled back":   {list(statement(1, "UPDATE t SET n = n + 1", "")), list(with(statement(1, "UPDATE t SET n = n + 1", ""), undone1), statement(2, "UPDATE t SET n = n + 1", "")), false, "[]"},
		"a statement lost":          {list(statement(1, "UPDATE t SET n = n + 1", "")), list(with(statement(1, "UPDATE t SET n = n + 1", ""), undone1)), false, "[lost]"},
		"a row with a new key":      {list(statement(1, "INSERT INTO t ON CONFLICT DO NOTHING", "[1]")), list(statement(1, "INSERT INTO t ON CONFLICT DO NOTHING", "[2]"), statement(2, "INSERT INTO t ON CONFLICT DO NOTHING", "[3]")), false, "[repeated]"},
		"an update to another time": {list(statement(1, "UPDATE t SET at = ?", "[1]")), list(statement(1, "UPDATE t SET at = ?", "[2]"), statement(2, "UPDATE t SET at = ?", "[3]")), false, "[]"},
		"late":                      {list(post(1, "u", "k", "b")), list(with(post(1, "u", "k", "b"), func(e *Effect) { e.Late = true })), false, "[not awaited]"},
		"early, rolled back":        {list(sent(1, "t", "a")), list(with(sent(1, "t", "a"), func(e *Effect) { e.Early = true }), with(statement(1, "DELETE FROM t", ""), undone1)), true, "[too early]"},
		"early, and committed":      {list(sent(1, "t", "a")), list(with(sent(1, "t", "a"), func(e *Effect) { e.Early = true }), statement(1, "DELETE FROM t", "")), true, "[]"},
		"early, and refused": {nil, list(with(sent(1, "t", "a"), func(e *Effect) { e.Early, e.Made, e.Err = true, false, errors.New("no") }),
			with(statement(1, "DELETE FROM t", ""), undone1)), true, "[]"},
		"a FIFO queue's deduplication": {list(with(sent(1, "t", "x"), func(e *Effect) { e.Dedup = "d" })),
			list(with(sent(1, "t", "y"), func(e *Effect) { e.Dedup = "d" }), with(sent(2, "t", "z"), func(e *Effect) { e.Dedup = "d" })), false, "[]"},
	} {
		var verdicts []Verdict
		for _, d := range Compare(c.whole, c.all, c.byState) {
			verdicts = append(verdicts, d.Verdict)
		}
		if got := fmt.Sprint(verdicts); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

func list(all ...*Effect) []*Effect { return all }
