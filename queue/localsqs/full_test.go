//go:build linux

package localsqs_test

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/smithy-go"

	"github.com/sambatech/chassis/queue/localsqs"
)

// fullFile makes this test binary a process that may not write long files.
const fullFile = "LOCALSQS_FULL_FILE"

// TestADiskThatTakesNoWrites runs a server under a limit of the length of
// files, which the kernel enforces as it does a full disk: in the middle of a
// write.
func TestADiskThatTakesNoWrites(t *testing.T) {
	if path := os.Getenv(fullFile); path != "" {
		fillUp(t, path, os.Getenv("LOCALSQS_FULL_OF"))
		return
	}
	for _, of := range []string{"journal", "file"} {
		t.Run(of, func(t *testing.T) {
			cmd := exec.Command(os.Args[0], "-test.run", "^TestADiskThatTakesNoWrites$", "-test.count", "1")
			cmd.Env = append(os.Environ(), fullFile+"="+filepath.Join(t.TempDir(), "queue.db"), "LOCALSQS_FULL_OF="+of)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%v:\n%s", err, out)
			}
		})
	}
}

func fillUp(t *testing.T, path, of string) {
	limit, checkpoint := uint64(700<<10), int64(64<<10) // what fills up is the file, and then the journal
	if of == "journal" {
		checkpoint = 1 << 30
	}
	signal.Ignore(syscall.SIGXFSZ)
	var log strings.Builder
	options := []localsqs.Option{localsqs.Path(path), localsqs.CheckpointFrom(checkpoint), localsqs.Logger(slog.New(slog.NewTextHandler(&log, nil)))}
	srv, err := localsqs.New(options...)
	if err != nil {
		t.Fatal(err)
	}
	client := sqs.New(newClient(srv).Options(), func(o *sqs.Options) { o.Retryer = aws.NopRetryer{} })
	url := createQueue(t, client, "jobs", nil)
	send := func(body string) error {
		_, err := client.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: url, MessageBody: aws.String(body + strings.Repeat("x", 10_000))})
		return err
	}
	refused := func(what string, err error) {
		var api smithy.APIError
		if !errors.As(err, &api) || api.ErrorCode() != "InternalFailure" || !strings.Contains(err.Error(), "StatusCode: 500") || !strings.Contains(err.Error(), "file too large") {
			t.Errorf("%s: the error is %v, want InternalFailure, status 500 and the disk's reason", what, err)
		}
	}
	for i := range 5 {
		if err := send(fmt.Sprintf("%04d", i)); err != nil {
			t.Fatal(err)
		}
	}
	restrict := func(n uint64) {
		if err := syscall.Setrlimit(1 /* RLIMIT_FSIZE */, &syscall.Rlimit{Cur: n, Max: ^uint64(0)}); err != nil {
			t.Fatal(err)
		}
	}
	restrict(limit)
	sent := 5
	for ; err == nil; sent++ {
		if sent == 1000 {
			t.Fatal("the disk is never full")
		}
		err = send(fmt.Sprintf("%04d", sent))
	}
	refused("the send that fills the disk", err)
	if err := srv.Health(); err == nil || !strings.Contains(err.Error(), "file too large") {
		t.Errorf("the health is %v", err)
	}
	for range 3 {
		refused("a send to the full disk", send("never"))
		_, err := client.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: url})
		refused("a receive, which could not be noted", err)
	}
	before := srv.Stats()
	if q := before.Queues[0]; q.Visible != sent || q.InFlight != 0 {
		t.Errorf("%+v, want the %d sent and nothing of what was refused", q, sent)
	}
	if _, err := client.GetQueueAttributes(t.Context(), &sqs.GetQueueAttributesInput{QueueUrl: url}); err != nil {
		t.Errorf("a look: %v", err)
	}

	restrict(^uint64(0))
	if err := send(fmt.Sprintf("%04d", sent)); err != nil {
		t.Errorf("with space again: %v", err)
	}
	sent++
	if err := srv.Close(); err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"takes no writes", "takes writes again"} {
		if n := strings.Count(log.String(), part); n < 1 || n > 4 {
			t.Errorf("the log says %d times %q:\n%s", n, part, log.String())
		}
	}
	if srv, err = localsqs.New(options...); err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	client = newClient(srv)
	for list := receive(t, client, url, 10, 0); len(list) > 0; list = receive(t, client, url, 10, 0) {
		for _, m := range list {
			found[(*m.Body)[:4]] = true
		}
	}
	for i := range sent {
		if body := fmt.Sprintf("%04d", i); !found[body] {
			t.Errorf("message %s is gone", body)
		}
	}
	if found["neve"] {
		t.Error("a send was refused before it was tried, and its message is there")
	}
	if err := srv.Close(); err != nil {
		t.Fatal(err)
	}
}
