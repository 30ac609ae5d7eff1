package main

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/actors/dispatcher"
	"github.com/sambatech/chassis/queue/localsqs"
	"github.com/sambatech/chassis/task"
	"github.com/sambatech/chassis/task/envelope"
)

const (
	keysOne = "2026-11 " + "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=" + "\n"
	keysTwo = "2026-12 " + "OTg3NjU0MzIxMDk4NzY1NDMyMTA5ODc2NTQzMjEwOTg=" + "\n"
)

// TestSealedArgumentsAreForThoseWithTheKey sends encrypted arguments by the command, lets
// the task die, and looks at it with and without the key.
func TestSealedArgumentsAreForThoseWithTheKey(t *testing.T) {
	dir := emptyDir(t)
	one, two, db := filepath.Join(dir, "one"), filepath.Join(dir, "two"), filepath.Join(dir, "q.db")
	for name, text := range map[string]string{one: keysOne, two: keysTwo} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	at := []string{"--path", db, "--pool", "cards-tasks"}
	id := strings.TrimSpace(does(t, append([]string{"send", "charge", `{"card":"4111"}`, "--create", "--key-file", one}, at...)...))
	peek := func(more ...string) string {
		got := printed[[]localsqs.Peeked](t, append([]string{"queue", "peek", "cards-tasks", "--path", db}, more...)...)
		if len(got) != 1 || got[0].Attributes[task.AttrEnvelope] != "aes-256-gcm key=2026-11" {
			t.Fatalf("on the queue: %+v", got)
		}
		return got[0].Body
	}
	if body := peek(); strings.Contains(body, "4111") || !task.IsSealed([]byte(body)) {
		t.Errorf("it was sent as %s", body)
	}
	if body := peek("--key-file", two); !task.IsSealed([]byte(body)) {
		t.Errorf("a wrong key shows %s", body)
	}
	if body := peek("--key-file", one); body != `{"card": "4111"}` {
		t.Errorf("the key shows %s", body)
	}

	s := chassis.DefaultSettings()
	s.Queue.Path, s.Tasks.TaskPool, s.Tasks.KeyFile = db, "cards-tasks", one
	sys, err := chassis.New("cards", chassis.WithSettings(s), chassis.WithoutDefaultLogger(), chassis.WithLogOutput(t.Output()))
	if err != nil {
		t.Fatal(err)
	}
	got := ""
	charge := task.Define[map[string]string]("charge", task.MaxFailures(1), task.OnlyEncrypted())
	chassis.Handle(sys, charge, func(_ context.Context, job task.Job[map[string]string]) error {
		got = job.Args["card"]
		return errors.New("refused")
	})
	events := sys.Tasks().Events(100)
	defer events.Close()
	if err := sys.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	for e := range events.C {
		if e.Kind == dispatcher.SettledWell {
			break
		}
	}
	if err := sys.Stop(t.Context()); err != nil || got != "4111" {
		t.Errorf("the handler got %q, stop: %v", got, err)
	}

	show := append([]string{"dead", "show", id}, at...)
	if out := does(t, show...); strings.Contains(out, "4111") || !strings.Contains(out, "sealed      aes-256-gcm key=2026-11") ||
		!strings.Contains(out, "give --key-file") {
		t.Errorf("without a key: %s", out)
	}
	if r := chassisWith(t, "", append(show, "--key-file", two)...); r.code == 0 || !strings.Contains(r.err, `"2026-11" is not in the key ring`) ||
		strings.Contains(r.out+r.err, "4111") {
		t.Errorf("with another key: %d %s%s", r.code, r.out, r.err)
	}
	if r := chassisWith(t, "", append(show, "--key-file", dir)...); r.code == 0 || !strings.Contains(r.err, "--key-file") {
		t.Errorf("with a folder as the key file: %d %s", r.code, r.err)
	}
	if out := does(t, append(show, "--key-file", one)...); !strings.Contains(out, `"card": "4111"`) {
		t.Errorf("with the key: %s", out)
	}
	if row := printed[deadRow](t, append(show, "--key-file", one)...); row.Body != `{"card": "4111"}` || row.Sealed == "" {
		t.Errorf("as JSON: %+v", row)
	}
	for _, row := range lines[deadRow](t, append([]string{"dead", "ls"}, at...)...) {
		if row.Sealed != "aes-256-gcm key=2026-11" || !task.IsSealed([]byte(row.Body)) {
			t.Errorf("in the list: %+v", row)
		}
	}
}

// TestSendSealsWhereTheSettingsWantIt: the settings of a service that encrypts do not send
// plain arguments by the command either.
func TestSendSealsWhereTheSettingsWantIt(t *testing.T) {
	dir := emptyDir(t)
	db := filepath.Join(dir, "q.db")
	yaml := "queue: {path: " + db + "}\ntasks: {task_pool: cards-tasks, key_file: " + dir + "/one, encrypt_arguments: true}\n"
	if err := os.WriteFile("chassis.yaml", []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	if r := chassisWith(t, "", "send", "charge", `{}`, "--create"); r.code == 0 || !strings.Contains(r.err, "key_file") {
		t.Errorf("without the file of the settings: %d %s", r.code, r.err)
	}
	if err := os.WriteFile("one", []byte(keysOne), 0o600); err != nil {
		t.Fatal(err)
	}
	does(t, "send", "charge", `{"card":"4111"}`, "--create")
	got := printed[[]localsqs.Peeked](t, "queue", "peek", "cards-tasks")
	if len(got) != 1 || got[0].Body != `{"card": "4111"}` || got[0].Attributes[task.AttrEnvelope] == "" {
		t.Errorf("with the key of the settings: %+v", got)
	}
}

// TestTheAdminAPIGetsNoKey: what a running service shows is opened on this machine.
func TestTheAdminAPIGetsNoKey(t *testing.T) {
	dir := emptyDir(t)
	if err := os.WriteFile("one", []byte(keysOne), 0o600); err != nil {
		t.Fatal(err)
	}
	keys, err := envelope.OpenKeyFile("one")
	if err != nil {
		t.Fatal(err)
	}
	env, err := envelope.New(envelope.Config{Keys: keys})
	if err != nil {
		t.Fatal(err)
	}
	body, mark, err := env.Seal(t.Context(), task.Parcel{Task: "charge", ExecID: "e-1", Body: `{"card":"4111"}`, Do: task.Encrypt})
	if err != nil {
		t.Fatal(err)
	}
	asked := ""
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked += r.URL.String()
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"list": [{"id": "m", "exec_id": "e-1", "task": "charge", "sealed": "` + mark + `", "body": ` +
			strconv.Quote(body) + `}]}`))
	}))
	defer srv.Close()
	if out := does(t, "dead", "show", "e-1", "--admin", srv.URL); strings.Contains(out, "4111") || !strings.Contains(out, mark) {
		t.Errorf("without a key: %s", out)
	}
	if out := does(t, "dead", "show", "e-1", "--admin", srv.URL, "--key-file", dir+"/one"); !strings.Contains(out, "4111") {
		t.Errorf("with the key: %s", out)
	}
	if strings.Contains(asked, "key") || strings.Contains(asked, "one") {
		t.Errorf("the service was asked %s", asked)
	}
}
