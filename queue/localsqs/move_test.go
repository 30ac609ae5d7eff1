package localsqs_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/sambatech/chassis/queue/localsqs"
)

// TestAMoveTaskGoesOnAfterARestart starts a task of 100 messages a second,
// ends the server in its middle, in good order or by taking its files as they
// are, and lets the next one finish.
func TestAMoveTaskGoesOnAfterARestart(t *testing.T) {
	for _, how := range []string{"closed", "killed"} {
		dir := t.TempDir()
		synctest.Test(t, func(t *testing.T) {
			const n = 500
			path := filepath.Join(dir, "queue.db")
			srv, err := localsqs.New(localsqs.Path(path), localsqs.NoFsync())
			if err != nil {
				t.Fatal(err)
			}
			client := newClient(srv)
			dead := createQueue(t, client, "dead", nil)
			source := "arn:aws:sqs:us-east-1:000000000000:dead"
			jobs := createQueue(t, client, "jobs", map[string]string{"RedrivePolicy": `{"deadLetterTargetArn":"` + source + `","maxReceiveCount":"1"}`})
			for i := range n {
				send(t, client, jobs, fmt.Sprint(i))
			}
			for range n / 10 {
				if got := receive(t, client, jobs, 10, 0); len(got) != 10 {
					t.Fatalf("got %d messages", len(got))
				}
			}
			time.Sleep(time.Minute)
			if got := receive(t, client, jobs, 10, 0); len(got) != 0 {
				t.Fatalf("got %d messages past their receives", len(got))
			}
			if _, err := client.StartMessageMoveTask(t.Context(), &sqs.StartMessageMoveTaskInput{SourceArn: &source, MaxNumberOfMessagesPerSecond: aws.Int32(100)}); err != nil {
				t.Fatal(err)
			}
			task := func() (status string, moved int64) {
				out, err := client.ListMessageMoveTasks(t.Context(), &sqs.ListMessageMoveTasksInput{SourceArn: &source})
				if err != nil || len(out.Results) != 1 {
					t.Fatalf("tasks: %+v, %v", out, err)
				}
				return *out.Results[0].Status, out.Results[0].ApproximateNumberOfMessagesMoved
			}
			time.Sleep(2 * time.Second)
			if status, moved := task(); status != "RUNNING" || moved < 190 || moved > 210 {
				t.Fatalf("after 2 s the task is %s with %d moved, want about 200", status, moved)
			}
			if how == "killed" {
				send(t, client, dead, "late") // its group is the last, and is waited for
				path = copied(t, path, filepath.Join(dir, "copy.db"))
			}
			if err := srv.Close(); err != nil {
				t.Fatal(err)
			}
			if srv, err = localsqs.New(localsqs.Path(path), localsqs.NoFsync()); err != nil {
				t.Fatal(err)
			}
			defer srv.Close() //nolint:errcheck // the test is over
			client = newClient(srv)
			time.Sleep(time.Second)
			if status, moved := task(); status != "RUNNING" || moved < 290 || moved > 310 {
				t.Errorf("%s: a second after the restart the task is %s with %d moved, want about 300", how, status, moved)
			}
			time.Sleep(3 * time.Second)
			if status, moved := task(); status != "COMPLETED" || moved != n {
				t.Errorf("%s: in the end the task is %s with %d moved", how, status, moved)
			}
			found := map[string]bool{}
			for list := receive(t, client, jobs, 10, 0); len(list) > 0; list = receive(t, client, jobs, 10, 0) {
				for _, m := range list {
					if found[*m.Body] {
						t.Errorf("%s is there twice", *m.Body)
					}
					found[*m.Body] = true
				}
			}
			if len(found) != n {
				t.Errorf("%s: %d of %d messages came back", how, len(found), n)
			}
			if left := receive(t, client, dead, 10, 0); how == "killed" && (len(left) != 1 || *left[0].Body != "late") {
				t.Errorf("in the source are left: %v, want the message that came after the task's start", left)
			}
		})
	}
}

// copied takes the files of a running server as a kill would leave them.
func copied(t *testing.T, from, to string) string {
	for _, suffix := range []string{"", ".journal-0", ".journal-1"} {
		b, err := os.ReadFile(from + suffix)
		if err == nil {
			err = os.WriteFile(to+suffix, b, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return to
}
