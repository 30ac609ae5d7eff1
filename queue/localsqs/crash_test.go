package localsqs_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"go.etcd.io/bbolt"

	"github.com/sambatech/chassis/queue/localsqs"
)

// kills is how often TestNothingIsLostByKills kills the server.
var kills = atScale(5, 50)

// crashFile makes this test binary a server under load that is to be killed.
const crashFile = "LOCALSQS_CRASH_FILE"

// acknowledged is what a killed process wrote before its end.
type acknowledged struct {
	sent, asked, deleted map[string]bool // acknowledged sends, deletes asked for, acknowledged deletes
}

func TestNothingIsLostByKills(t *testing.T) {
	if path := os.Getenv(crashFile); path != "" {
		crashLoad(t, path)
		return
	}
	path := filepath.Join(t.TempDir(), "queue.db")
	all := acknowledged{map[string]bool{}, map[string]bool{}, map[string]bool{}}
	for round := range kills {
		runUntilKilled(t, path, round, &all)
		checkSound(t, path)
		checkKept(t, path, &all)
		if t.Failed() {
			t.Fatalf("in round %d", round)
		}
	}
	t.Logf("%d kills: %d sends and %d deletes were acknowledged, and all of them held", kills, len(all.sent), len(all.deleted))
	if len(all.sent) == 0 || len(all.deleted) == 0 {
		t.Error("the load did nothing")
	}
}

func runUntilKilled(t *testing.T, path string, round int, all *acknowledged) {
	cmd := exec.Command(os.Args[0], "-test.run", "^TestNothingIsLostByKills$", "-test.count", "1")
	cmd.Env = append(os.Environ(), crashFile+"="+path, fmt.Sprintf("LOCALSQS_CRASH_ROUND=%d", round))
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	var kill *time.Timer
	for lines.Scan() {
		if kill == nil { // it is at work: some moment from now on
			kill = time.AfterFunc(time.Duration(rand.IntN(200))*time.Millisecond, func() { _ = cmd.Process.Kill() })
		}
		switch kind, body, _ := strings.Cut(lines.Text(), " "); kind {
		case "sent":
			all.sent[body] = true
		case "ask":
			all.asked[body] = true
		case "deleted":
			all.deleted[body] = true
		default:
			t.Errorf("the server says: %s", lines.Text())
		}
	}
	_ = cmd.Wait() // killed
	if kill == nil {
		t.Fatal("the server ended before it did anything")
	}
}

// checkSound walks all pages of the file.
func checkSound(t *testing.T, path string) {
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close() //nolint:errcheck // only read
	if err := db.View(func(tx *bbolt.Tx) error {
		for err := range tx.Check() {
			t.Errorf("the file is not sound: %v", err)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

// ahead is a clock some hours from now: what was in flight is visible again.
type ahead struct{}

func (ahead) Now() time.Time { return time.Now().Add(3 * time.Hour) }

func (ahead) AfterFunc(d time.Duration, f func()) func() bool { return time.AfterFunc(d, f).Stop }

func checkKept(t *testing.T, path string, all *acknowledged) {
	srv, err := localsqs.New(localsqs.Path(path), localsqs.Clock(ahead{}))
	if err != nil {
		t.Fatal(err)
	}
	client := newClient(srv)
	url := createQueue(t, client, "jobs", nil)
	there := map[string]bool{}
	var taken []types.Message
	for list := receive(t, client, url, 10, 0); len(list) > 0; list = receive(t, client, url, 10, 0) {
		for _, m := range list {
			there[*m.Body] = true
			taken = append(taken, m)
		}
	}
	for body := range all.sent {
		if !there[body] && !all.asked[body] {
			t.Errorf("message %s was acknowledged, never deleted, and is gone", body)
		}
	}
	for body := range all.deleted {
		if there[body] {
			t.Errorf("message %s was deleted and is back", body)
		}
	}
	for i := range taken { // for the next round
		if _, err := client.ChangeMessageVisibility(context.Background(), &sqs.ChangeMessageVisibilityInput{QueueUrl: url, ReceiptHandle: taken[i].ReceiptHandle}); err != nil {
			t.Error(err)
		}
	}
	if err := srv.Close(); err != nil {
		t.Error(err)
	}
}

// crashLoad sends, receives and deletes until it is killed, saying each time
// what it is about to do and what was acknowledged.
func crashLoad(t *testing.T, path string) {
	limits := []int64{8 << 10, 64 << 10, 16 << 20} // checkpoints all the time, now and then, none
	srv, err := localsqs.New(localsqs.Path(path), localsqs.CheckpointFrom(limits[rand.IntN(len(limits))]))
	if err != nil {
		t.Fatal(err)
	}
	client := newClient(srv)
	url := createQueue(t, client, "jobs", nil)
	say := func(kind, body string) { _, _ = io.WriteString(os.Stdout, kind+" "+body+"\n") } // one write is one line
	var wg sync.WaitGroup
	end := time.Now().Add(20 * time.Second) // if it is not killed
	for w := range 4 {
		wg.Go(func() {
			for i := 0; time.Now().Before(end); i++ {
				body := fmt.Sprintf("%s/%d/%d", os.Getenv("LOCALSQS_CRASH_ROUND"), w, i)
				if _, err := client.SendMessage(context.Background(), &sqs.SendMessageInput{QueueUrl: url, MessageBody: &body}); err != nil {
					t.Error(err)
					return
				}
				say("sent", body)
			}
		})
		wg.Go(func() {
			for time.Now().Before(end) {
				out, err := client.ReceiveMessage(context.Background(), &sqs.ReceiveMessageInput{QueueUrl: url, MaxNumberOfMessages: 3})
				if err != nil {
					t.Error(err)
					return
				}
				for _, m := range out.Messages {
					if rand.IntN(2) == 0 {
						continue
					}
					say("ask", *m.Body)
					if _, err := client.DeleteMessage(context.Background(), &sqs.DeleteMessageInput{QueueUrl: aws.String(*url), ReceiptHandle: m.ReceiptHandle}); err != nil {
						t.Error(err)
						return
					}
					say("deleted", *m.Body)
				}
			}
		})
	}
	wg.Wait()
	t.Error("it was not killed")
}
