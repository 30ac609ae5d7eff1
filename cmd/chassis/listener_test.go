package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sambatech/chassis/queue"
	"github.com/sambatech/chassis/settings"
)

// A service that runs holds its file: the command reaches its queue at queue.listen of
// the settings that both read.
func TestTheQueueOfARunningServiceIsFoundByItsSettings(t *testing.T) {
	for name, keys := range map[string]string{"without keys": "", "with an access key": "local:a secret of the file"} {
		t.Run(name, func(t *testing.T) {
			dir := emptyDir(t)
			t.Setenv("AWS_ACCESS_KEY_ID", "of AWS") // not the server's
			t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
			t.Setenv(credentialsVariable, keys)
			at := serve(t, "--path", filepath.Join(dir, "q.db"), "--create", "mailer-tasks", "--create", "mailer-tasks_dead")
			text := "tasks: {task_pool: mailer-tasks}\nqueue:\n  path: q.db\n  listen: " + strings.TrimPrefix(at, "http://") + "\n"
			if keys != "" {
				text += "  server: {access_key: local, secret_key: a secret of the file}\n"
			}
			write := func(text string) {
				if err := os.WriteFile("chassis.yaml", []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			write(text)
			does(t, "send", "welcome")
			if rows := printed[[]queueRow](t, "queue", "ls"); len(rows) != 2 || rows[0].Visible != 1 {
				t.Errorf("ls: %+v", rows)
			}
			does(t, "dead", "ls")
			write(strings.Replace(text, "  path: q.db\n", "", 1)) // a queue in memory
			if rows := printed[[]queueRow](t, "queue", "ls"); len(rows) != 2 {
				t.Errorf("ls of a queue in memory: %+v", rows)
			}
			if keys != "" {
				return // it waits for the file's lock: once is enough
			}
			if r := chassisWith(t, "", "queue", "ls", "--path", "q.db"); r.code != exitFailed || !strings.Contains(r.err, "--endpoint") {
				t.Errorf("a file by a flag is that file: %+v", r)
			}
		})
	}
}

func TestTheAddressOfAListenerAsAnEndpoint(t *testing.T) {
	tls := queue.ServerSettings{AccessKey: "a", SecretKey: settings.NewSecret("b"), Certificate: "c.pem", PrivateKey: "k.pem"}
	for _, c := range []struct {
		l    listener
		want string
	}{
		{listener{"127.0.0.1:9324", queue.ServerSettings{}}, "http://127.0.0.1:9324 <nil>"},
		{listener{"0.0.0.0:9324", tls}, "https://127.0.0.1:9324 <nil>"},
		{listener{"[::1]:1", queue.ServerSettings{}}, "http://[::1]:1 <nil>"},
		{listener{":9324", queue.ServerSettings{}}, "http://127.0.0.1:9324 <nil>"},
	} {
		url, err := c.l.endpoint()
		if got := fmt.Sprint(url, " ", err); got != c.want {
			t.Errorf("%s: %s, want %s", c.l.address, got, c.want)
		}
	}
	for _, address := range []string{"127.0.0.1:0", "nonsense"} {
		if _, err := (listener{address, queue.ServerSettings{}}).endpoint(); err == nil || !strings.Contains(err.Error(), "--endpoint") {
			t.Errorf("%s: %v", address, err)
		}
	}
}
