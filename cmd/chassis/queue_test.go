package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sambatech/chassis/queue/localsqs"
)

func TestSendListPeekAndPurgeOverAnEndpoint(t *testing.T) {
	emptyDir(t)
	at := []string{"--endpoint", serve(t, "--create", "mailer-tasks", "--create", "other")}
	on := func(args ...string) []string { return append(args, at...) }

	id := strings.TrimSpace(does(t, on("send", "welcome", `{"email":"zoë@example.org"}`, "--pool", "mailer-tasks", "--job-id", "7", "--job-name", "spring", "--attr", "tenant=x")...))
	does(t, on("send", "welcome", "--pool", "mailer-tasks", "--delay", "10m")...)
	rows := printed[[]queueRow](t, on("queue", "ls", "mailer")...)
	if len(rows) != 1 || rows[0].Name != "mailer-tasks" || rows[0].Visible != 1 || rows[0].Delayed != 1 || rows[0].InFlight != 0 {
		t.Errorf("ls: %+v", rows)
	}
	if out := does(t, on("queue", "ls")...); !strings.Contains(out, "other") || !strings.Contains(out, "VISIBLE") {
		t.Errorf("ls: %s", out)
	}
	found := printed[[]localsqs.Peeked](t, on("queue", "peek", "mailer-tasks")...)
	if len(found) != 2 {
		t.Fatalf("peek: %+v", found)
	}
	m := found[0]
	if m.Attributes["task_name"] != "welcome" || m.Attributes["exec_id"] != id || m.Attributes["job_id"] != "7" || m.Attributes["tenant"] != "x" || m.Receives != 0 {
		t.Errorf("peek: %+v", m)
	}
	var args struct{ Email string }
	if err := json.Unmarshal([]byte(m.Body), &args); err != nil || args.Email != "zoë@example.org" {
		t.Errorf("body %s: %v", m.Body, err)
	}
	if out := does(t, on("queue", "peek", "mailer-tasks")...); !strings.Contains(out, id) {
		t.Errorf("peek: %s", out)
	}
	if r := chassisWith(t, "", on("queue", "peek", "no-queue")...); r.code != exitNotFound || !strings.Contains(r.err, `"no-queue"`) {
		t.Errorf("peek of no queue: %+v", r)
	}
	if r := chassisWith(t, "yes\n", on("queue", "purge", "mailer-tasks")...); r.code != exitUnconfirmed || !strings.Contains(r.err, "about 2 messages") {
		t.Errorf("an unconfirmed purge: %+v", r)
	}
	if got := printed[map[string]any](t, on("queue", "purge", "mailer-tasks", "--yes")...); got["purged"] != 2.0 {
		t.Errorf("purge: %v", got)
	}
	if found := printed[[]localsqs.Peeked](t, on("queue", "peek", "mailer-tasks")...); len(found) != 0 {
		t.Errorf("after the purge: %+v", found)
	}
}

// A region is a namespace: with one, requests are signed, whatever the keys.
func TestAnEndpointWithARegion(t *testing.T) {
	emptyDir(t)
	at := []string{"--endpoint", serve(t), "--region", "eu-central-1", "--pool", "p"}
	does(t, append([]string{"send", "x", "--create"}, at...)...)
	rows := printed[[]queueRow](t, append([]string{"queue", "ls"}, at[:4]...)...)
	found := printed[[]localsqs.Peeked](t, append([]string{"queue", "peek", "p"}, at[:4]...)...)
	if len(rows) != 1 || len(found) != 1 {
		t.Errorf("ls %+v, peek %+v", rows, found)
	}
	if rows := printed[[]queueRow](t, "queue", "ls", "--endpoint", at[1]); len(rows) != 0 {
		t.Errorf("without the region: %+v", rows)
	}
}

func TestLinesOfAFile(t *testing.T) {
	dir := emptyDir(t)
	db := filepath.Join(dir, "q.db")
	var lines strings.Builder
	for range 250 {
		lines.WriteString("{\"n\": 1}\n\n")
	}
	if err := os.WriteFile("lines.ndjson", []byte(lines.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	if r := chassisWith(t, "", "send", "x", "--path", db, "--pool", "p"); r.code != exitNotFound {
		t.Errorf("without --create: %+v", r)
	}
	out := does(t, "send", "x", "--path", db, "--pool", "p", "--create", "--lines", "lines.ndjson", "--job-id", "7")
	if n := strings.Count(out, "\n"); n != 250 {
		t.Errorf("%d exec ids", n)
	}
	r := chassisWith(t, "{}\n{}\n", "send", "x", "--path", db, "--pool", "p", "--lines", "-", "--rate", "1000", "--json")
	if r.code != 0 || strings.Count(r.out, `"exec_id"`) != 2 {
		t.Errorf("from stdin: %+v", r)
	}
	if rows := printed[[]queueRow](t, "queue", "ls", "--path", db); len(rows) != 1 || rows[0].Visible != 252 {
		t.Errorf("ls: %+v", rows)
	}
	r = chassisWith(t, "{}\nnot json\n{}\n", "send", "x", "--path", db, "--pool", "p", "--lines", "-", "--rate", "10")
	if r.code != exitUsage || !strings.Contains(r.err, "line 2 of -") || !strings.Contains(r.err, "1 tasks were sent") {
		t.Errorf("a bad line: %+v", r)
	}
	for _, args := range [][]string{{`{"a":`}, {"@none.json"}, {strings.Repeat("x", 100)}} {
		if r := chassisWith(t, "", append([]string{"send", "x", "--path", db, "--pool", "p"}, args...)...); r.code == 0 {
			t.Errorf("ARGS %q: %+v", args, r)
		}
	}
	r = chassisWith(t, `{"from": "stdin"}`, "send", "y", "-", "--path", db, "--pool", "p", "--at", "24h")
	if r.code != 0 {
		t.Errorf("ARGS from stdin: %+v", r)
	}
}

func TestAFileInUseIsReported(t *testing.T) {
	dir := emptyDir(t)
	db := filepath.Join(dir, "q.db")
	serve(t, "--path", db)
	if r := chassisWith(t, "", "queue", "ls", "--path", db); r.code != exitFailed || !strings.Contains(r.err, "--endpoint") {
		t.Errorf("%+v", r)
	}
}

// TestTheEndpointGoesOverTheSettingsOfTheService that embeds the queue: the
// settings file of the working directory is that service's own.
func TestTheEndpointGoesOverTheSettingsOfTheService(t *testing.T) {
	emptyDir(t)
	at := serve(t, "--create", "mailer-tasks")
	if err := os.WriteFile("chassis.yaml", []byte("queue:\n  path: q.db\n  listen: 127.0.0.1:0\ntasks:\n  task_pool: mailer-tasks\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	does(t, "dead", "ls", "--endpoint", at)
	does(t, "send", "welcome", "{}", "--endpoint", at)
}

func TestCompletionOfQueues(t *testing.T) {
	emptyDir(t)
	at := serve(t, "--create", "mailer-tasks", "--create", "other")
	out := does(t, "__complete", "queue", "peek", "--endpoint", at, "mai")
	if !strings.Contains(out, "mailer-tasks") || strings.Contains(out, "other") {
		t.Errorf("completion: %s", out)
	}
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		if out := does(t, "completion", shell); !strings.Contains(out, "chassis") {
			t.Errorf("completion %s: %s", shell, out)
		}
	}
}
