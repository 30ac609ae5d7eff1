package main

import (
	"os"
	"strings"
	"testing"

	"github.com/sambatech/chassis/queue/localsqs"
)

func TestAServedQueueWithCredentials(t *testing.T) {
	emptyDir(t)
	if err := os.WriteFile("keys", []byte("# for the mailer\nmailer:s3cret:with-colon\n\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	at := []string{"--endpoint", serve(t, "--create", "jobs", "--credentials", "keys", "--account", "123456789012", "--host", "queue.internal", "--strict")}
	on := func(args ...string) []string { return append(args, at...) }
	if r := chassisWith(t, "", on("queue", "ls")...); r.code == 0 {
		t.Errorf("without a key: %+v", r)
	}
	t.Setenv("AWS_ACCESS_KEY_ID", "mailer")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "s3cret:with-colon")
	does(t, on("send", "welcome", `{"a":1}`, "--pool", "jobs")...)
	rows := printed[[]queueRow](t, on("queue", "ls")...)
	if len(rows) != 1 || rows[0].Visible != 1 || !strings.Contains(rows[0].URL, "/123456789012/jobs") {
		t.Errorf("ls: %+v", rows)
	}
	if found := printed[[]localsqs.Peeked](t, on("queue", "peek", "jobs")...); len(found) != 1 || found[0].Receives != 0 {
		t.Errorf("peek: %+v", found)
	}
	t.Setenv("AWS_SECRET_ACCESS_KEY", "wrong")
	if r := chassisWith(t, "", on("queue", "ls")...); r.code == 0 || strings.Contains(r.err, "s3cret") {
		t.Errorf("with a wrong secret: %+v", r)
	}
}

// With --as-aws the counts lag: those before the send are shown still.
func TestAServedQueueAsAWS(t *testing.T) {
	emptyDir(t)
	at := []string{"--endpoint", serve(t, "--create", "jobs", "--as-aws")}
	for range 2 {
		if rows := printed[[]queueRow](t, append([]string{"queue", "ls"}, at...)...); len(rows) != 1 || rows[0].Visible != 0 {
			t.Errorf("ls: %+v", rows)
		}
		does(t, append([]string{"send", "welcome", "--pool", "jobs"}, at...)...)
	}
	if found := printed[[]localsqs.Peeked](t, append([]string{"queue", "peek", "jobs"}, at...)...); len(found) != 2 {
		t.Errorf("peek: %+v", found)
	}
}

func TestCredentialsOfServeAreChecked(t *testing.T) {
	emptyDir(t)
	for name, text := range map[string]string{"no colon": "mailer hush", "no secret": "mailer:", "nothing": "# none\n"} {
		if err := os.WriteFile("keys", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		r := chassisWith(t, "", "queue", "serve", "--listen", "127.0.0.1:0", "--credentials", "keys")
		if r.code != exitUsage || !strings.Contains(r.err, "keys") || strings.Contains(r.err, "hush") {
			t.Errorf("%s: %+v", name, r)
		}
	}
	for _, args := range [][]string{{"--tls-cert", "c.pem"}, {"--tls-cert", "c.pem", "--tls-key", "k.pem"}, {"--listen", "0.0.0.0:0"}, {"--credentials", "nowhere"}, {"--account", "1"}} {
		if r := chassisWith(t, "", append([]string{"queue", "serve", "--listen", "127.0.0.1:0"}, args...)...); r.code == 0 {
			t.Errorf("%v: %+v", args, r)
		}
	}
	t.Setenv(credentialsVariable, "id:secret\nother:secret")
	keys, err := (&serving{}).keys()
	if err != nil || len(keys) != 2 || keys[1] != [2]string{"other", "secret"} {
		t.Errorf("keys of the variable: %v, %v", keys, err)
	}
}
