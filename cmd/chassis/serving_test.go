package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/sambatech/chassis/actors/poller"
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

// With --as-aws and a seed, two servers deliver in one order, and it is not that of
// the sends.
func TestASeedRepeatsTheOrderOfAServedQueue(t *testing.T) {
	emptyDir(t)
	order := func(seed uint64) (bodies []string) {
		o := &serving{account: "000000000000", asAWS: true, seed: seed}
		q, err := o.open(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := q.Close(t.Context()); err != nil {
				t.Error(err)
			}
		}()
		url, err := poller.EnsureQueue(t.Context(), q.Client, "jobs", poller.EnsureOptions{Create: true})
		if err != nil {
			t.Fatal(err)
		}
		for i := range 40 {
			if _, err := q.Client.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: &url,
				MessageBody: aws.String(fmt.Sprintf("%02d", i))}); err != nil {
				t.Fatal(err)
			}
		}
		for range 4 {
			out, err := q.Client.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: &url,
				MaxNumberOfMessages: 10, WaitTimeSeconds: 1})
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range out.Messages {
				bodies = append(bodies, *m.Body)
			}
		}
		return bodies
	}
	one, again := order(7), order(7)
	if len(one) < 40 || slices.IsSorted(one) || !slices.Equal(one, again) {
		t.Errorf("first %v, then %v", one, again)
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
