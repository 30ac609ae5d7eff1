package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/actors/dispatcher"
	"github.com/sambatech/chassis/task"
)

type mail struct {
	To string `json:"to"`
}

// killTasks lets n tasks of each of two names die in the queue file.
func killTasks(t *testing.T, db string, n int) {
	t.Helper()
	s := chassis.DefaultSettings()
	s.Queue.Path, s.Tasks.TaskPool = db, "mailer-tasks"
	log := &strings.Builder{}
	sys, err := chassis.New("mailer", chassis.WithSettings(s), chassis.WithoutDefaultLogger(), chassis.WithLogOutput(log))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := sys.Stop(context.Background()); err != nil {
			t.Errorf("stop: %v\n%s", err, log)
		}
	}()
	events := sys.Tasks().Events(1000)
	defer events.Close()
	for _, name := range []string{"welcome", "goodbye"} {
		def := task.Define[mail](name, task.MaxFailures(1))
		chassis.Handle(sys, def, func(context.Context, task.Job[mail]) error { return errors.New(name + " is down") })
		for range n {
			if _, err := chassis.Send(t.Context(), sys, def, mail{To: "a@example.org"}, task.ForJob("7", "spring")); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := sys.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	for settled := 0; settled < 2*n; {
		if e := <-events.C; e.Kind == dispatcher.SettledWell {
			settled++
		}
	}
}

func TestDeadLetters(t *testing.T) {
	db := filepath.Join(emptyDir(t), "q.db")
	killTasks(t, db, 6)
	at := []string{"--path", db, "--pool", "mailer-tasks"}
	on := func(args ...string) []string { return append(args, at...) }

	rows := lines[deadRow](t, on("dead", "ls")...)
	if len(rows) != 12 {
		t.Fatalf("%d dead letters: %+v", len(rows), rows)
	}
	r := rows[0]
	if r.Reason != task.ReasonExhausted || r.Failures != 1 || r.JobID != "7" || r.Dead.IsZero() || !strings.HasSuffix(r.LastError, "is down") || r.Body != `{"to": "a@example.org"}` {
		t.Errorf("dead letter %+v", r)
	}
	if out := does(t, on("dead", "ls", "--task", "welcome", "--limit", "2")...); strings.Count(out, "welcome is down") != 2 {
		t.Errorf("ls: %s", out)
	}
	for filter, want := range map[string]int{"--task welcome": 6, "--error goodbye": 6, "--job spring": 12, "--job 8": 0,
		"--reason cancelled": 0, "--older-than 1h": 0, "--newer-than 1h": 12} {
		if got := lines[deadRow](t, on(append([]string{"dead", "ls"}, strings.Fields(filter)...)...)...); len(got) != want {
			t.Errorf("%s: %d, want %d", filter, len(got), want)
		}
	}
	if got := lines[cause](t, on("dead", "ls", "--group")...); len(got) != 2 || got[0].Letters != 6 || got[1].Letters != 6 ||
		!strings.HasSuffix(got[0].Error, "is down") || got[0].ExecID == "" || got[0].Oldest.After(got[0].Newest) {
		t.Errorf("groups: %+v", got)
	}
	if out := does(t, on("dead", "ls", "--group", "--task", "welcome")...); strings.Count(out, "\n") != 2 || !strings.Contains(out, "welcome is down") {
		t.Errorf("ls --group: %s", out)
	}
	if out := does(t, on("dead", "show", r.ExecID)...); !strings.Contains(out, r.LastError) || !strings.Contains(out, `"to": "a@example.org"`) {
		t.Errorf("show: %s", out)
	}
	if got := printed[deadRow](t, on("dead", "show", r.MessageID)...); got.ExecID != r.ExecID {
		t.Errorf("show by message id: %+v", got)
	}
	if got := chassisWith(t, "", on("dead", "show", "no-id")...); got.code != exitNotFound {
		t.Errorf("show of nothing: %+v", got)
	}

	type report struct {
		Count int
		IDs   []string `json:"exec_ids"`
		Dry   bool     `json:"dry_run"`
	}
	if got := printed[report](t, on("dead", "back", "--task", "welcome", "--dry-run")...); got.Count != 6 || !got.Dry {
		t.Errorf("dry run: %+v", got)
	}
	if got := printed[report](t, on("dead", "back", "--task", "welcome", "--rate", "1000")...); got.Count != 6 || got.Dry {
		t.Errorf("back: %+v", got)
	}
	if got := printed[[]queueRow](t, append([]string{"queue", "ls"}, at[:2]...)...); len(got) != 2 || got[0].Visible != 6 || got[1].Visible != 6 {
		t.Errorf("after back: %+v", got)
	}
	left := lines[deadRow](t, on("dead", "ls")...)
	if got := printed[report](t, on("dead", "rm", left[0].ExecID, "--yes")...); got.Count != 1 || got.IDs[0] != left[0].ExecID {
		t.Errorf("rm: %+v", got)
	}
	if got := chassisWith(t, "", on("dead", "rm", left[0].ExecID, "--yes")...); got.code != exitNotFound {
		t.Errorf("rm twice: %+v", got)
	}
	if out := does(t, on("dead", "rm", "--all", "--yes")...); !strings.Contains(out, "5 dead letters deleted") {
		t.Errorf("rm --all: %s", out)
	}
	if got := lines[deadRow](t, on("dead", "ls")...); len(got) != 0 {
		t.Errorf("at the end: %+v", got)
	}
}

func TestDeadLettersOverTheAdminAPI(t *testing.T) {
	emptyDir(t)
	sys := watched(t, nil) // one of its tasks has died
	events := sys.Tasks().Events(1000)
	defer events.Close()
	for range 4 {
		if _, err := sys.Send(t.Context(), "doomed", mail{To: "b@example.org"}); err != nil {
			t.Fatal(err)
		}
	}
	settled := func(n int) {
		for n > 0 {
			if e := <-events.C; e.Kind == dispatcher.SettledWell {
				n--
			}
		}
	}
	settled(4)
	on := func(args ...string) []string { return append(args, "--admin", sys.AdminURL()) }
	rows := lines[deadRow](t, on("dead", "ls")...)
	if len(rows) != 5 || rows[0].Task != "doomed" || rows[0].Reason != task.ReasonExhausted || rows[0].LastError != "down" {
		t.Fatalf("ls: %+v", rows)
	}
	if got := printed[deadRow](t, on("dead", "show", rows[1].ExecID)...); got.MessageID != rows[1].MessageID {
		t.Errorf("show: %+v", got)
	}
	type report struct{ Count int }
	if got := printed[report](t, on("dead", "back", "--task", "other")...); got.Count != 0 {
		t.Errorf("back of none: %+v", got)
	}
	if got := printed[report](t, on("dead", "back", "--task", "doomed", "--dry-run")...); got.Count != 5 {
		t.Errorf("dry run: %+v", got)
	}
	if got := printed[report](t, on("dead", "rm", "--all", "--limit", "2", "--yes")...); got.Count != 2 {
		t.Errorf("rm: %+v", got)
	}
	if got := printed[report](t, on("dead", "back", "--task", "doomed", "--rate", "50")...); got.Count != 3 {
		t.Errorf("back: %+v", got)
	}
	settled(3) // they run, and die again
	if got := lines[deadRow](t, on("dead", "ls")...); len(got) != 3 {
		t.Errorf("at the end: %d", len(got))
	}
	if r := chassisWith(t, "", on("dead", "rm", "no-id", "--yes")...); r.code != exitNotFound {
		t.Errorf("rm of nothing: %+v", r)
	}
}

// TestTheDeadLettersOfOtherPoolsAreLetBe: without --pool it is tasks.task_pool
// alone, and the service's log files are its own.
func TestTheDeadLettersOfOtherPoolsAreLetBe(t *testing.T) {
	dir := emptyDir(t)
	text := "queue: {path: q.db}\nlog: {files: [service.log]}\ntasks: {task_pool: mails, pools: {reports: {weight: 2}}}\n"
	if err := os.WriteFile("chassis.yaml", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, pool := range []string{"mails_dead", "reports_dead"} {
		does(t, "send", "doomed", "--create", "--pool", pool)
	}
	if rows := lines[deadRow](t, "dead", "ls"); len(rows) != 1 || rows[0].Pool != "mails" {
		t.Errorf("ls: %+v", rows)
	}
	if out := does(t, "dead", "rm", "--all", "--yes"); !strings.Contains(out, "1 dead letters deleted") {
		t.Errorf("rm --all: %s", out)
	}
	if rows := lines[deadRow](t, "dead", "ls", "--pool", "reports"); len(rows) != 1 || rows[0].Pool != "reports" {
		t.Errorf("those of the other pool: %+v", rows)
	}
	if _, err := os.Stat(filepath.Join(dir, "service.log")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the service's log file: %v", err)
	}
}

// TestThePoolChoosesAlsoOverTheAdminAPI: --all of one pool is not all of the
// service's.
func TestThePoolChoosesAlsoOverTheAdminAPI(t *testing.T) {
	emptyDir(t)
	sys := watched(t, func(s *chassis.Settings) { s.Tasks.Pools = map[string]chassis.PoolSettings{"reports": {}} })
	if _, err := sys.Send(t.Context(), "doomed", mail{}, task.Pool("reports_dead")); err != nil {
		t.Fatal(err)
	}
	on := func(args ...string) []string { return append(args, "--admin", sys.AdminURL()) }
	if out := does(t, on("dead", "rm", "--all", "--yes", "--pool", "reports")...); !strings.Contains(out, "1 dead letters deleted") {
		t.Errorf("rm --all: %s", out)
	}
	if rows := lines[deadRow](t, on("dead", "ls")...); len(rows) != 1 || rows[0].Pool != "mailer-tasks" {
		t.Errorf("what is left: %+v", rows)
	}
}

func TestErrorsThatDifferInIdsAndNumbersAreOneGroup(t *testing.T) {
	var rows []deadRow
	for i, text := range []string{"order 17 is gone", "order 18 is gone", "order 19 is gone", "answered with 503"} {
		rows = append(rows, deadRow{Task: "charge", Reason: task.ReasonExhausted, ExecID: string(rune('a' + i)), LastError: text})
	}
	rows = append(rows, deadRow{Task: "invoice", Reason: task.ReasonExhausted, LastError: "order 1 is gone"},
		deadRow{Task: "charge", Reason: task.ReasonUndecodable, Defects: "no JSON at byte 3"})
	got := grouped(rows)
	if len(got) != 4 || got[0].Letters != 3 || got[0].Error != "order … is gone" || got[0].ExecID != "c" || got[3].Error != "no JSON at byte …" {
		for _, c := range got {
			t.Errorf("%+v", *c)
		}
	}
}

func TestATableHasOneRowForEach(t *testing.T) {
	var out strings.Builder
	a := &app{out: &out}
	if err := a.table("A\tB", [][]string{{"one\ntwo", "x\ty"}}); err != nil || strings.Count(out.String(), "\n") != 2 {
		t.Errorf("%v\n%s", err, out.String())
	}
}
