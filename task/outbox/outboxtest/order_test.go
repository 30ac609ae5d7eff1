//go:build unix

package outboxtest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/task"
	"github.com/sambatech/chassis/task/outbox"
)

// Rows of a group reach a FIFO queue in the order of their commits, with several relays,
// and with transactions that commit in another order than they began. What commits takes
// its number from a row that it locks after Send, so the lock of Send alone keeps the
// order.
func TestAGroupIsSentInTheOrderOfItsCommits(t *testing.T) {
	each(t, func(t *testing.T, db *database) {
		const keys, writers, rounds = 3, 6, 12
		box := db.box(t, outbox.Pool("line.fifo"))
		db.exec(t, "CREATE TABLE counters (name INT PRIMARY KEY, n INT NOT NULL)")
		db.exec(t, "CREATE TABLE numbers (exec_id VARCHAR(40) PRIMARY KEY, n INT NOT NULL)")
		for k := range keys {
			db.exec(t, "INSERT INTO counters VALUES (?, 0)", k)
		}
		srv := queueServer(t)
		s := newService(t, srv, func(set *chassis.Settings) { set.Tasks.TaskPool = "other" })
		name := "line.fifo"
		made, err := s.SQS().CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: &name,
			Attributes: map[string]string{"FifoQueue": "true"}})
		if err != nil {
			t.Fatal(err)
		}
		for i := range 4 {
			s.Add(fmt.Sprintf("outbox %d", i), box.Relay(s, outbox.Settings{Poll: 5 * time.Millisecond, Batch: 5}))
		}
		s.start(t)
		var work sync.WaitGroup
		for range writers {
			work.Go(func() {
				for range rounds {
					if err := numbered(t.Context(), box, db, rand.IntN(keys)); err != nil {
						t.Error(err)
					}
				}
			})
		}
		seen := map[string]int{}
		got := 0
		for begun := time.Now(); got < writers*rounds; {
			if time.Since(begun) > 60*time.Second {
				t.Fatalf("%d of %d came", got, writers*rounds)
			}
			out, err := s.SQS().ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: made.QueueUrl,
				MaxNumberOfMessages: 10, WaitTimeSeconds: 1,
				MessageAttributeNames:       []string{"exec_id"},
				MessageSystemAttributeNames: []types.MessageSystemAttributeName{"MessageGroupId"}})
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range out.Messages {
				group := m.Attributes["MessageGroupId"]
				n := db.count(t, "SELECT n FROM numbers WHERE exec_id = ?", *m.MessageAttributes["exec_id"].StringValue)
				if want := seen[group] + 1; n != want {
					t.Errorf("group %s: number %d came, want %d", group, n, want)
				}
				seen[group]++
				got++
				if _, err := s.SQS().DeleteMessage(t.Context(), &sqs.DeleteMessageInput{QueueUrl: made.QueueUrl,
					ReceiptHandle: m.ReceiptHandle}); err != nil {
					t.Fatal(err)
				}
			}
		}
		work.Wait()
	})
}

// numbered sends a task, and notes as the how many-th transaction of its key it commits.
// It takes the number after Send, so only Send can have decided the order.
func numbered(ctx context.Context, box *outbox.Box, db *database, key int) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	id, err := box.Send(ctx, tx, "numbered", 0, task.Group(fmt.Sprint("k", key)))
	if err != nil {
		return err
	}
	time.Sleep(time.Duration(rand.IntN(3)) * time.Millisecond) // others begin meanwhile
	if _, err := tx.ExecContext(ctx, bind(db.dialect, "UPDATE counters SET n = n + 1 WHERE name = ?"), key); err != nil {
		return err
	}
	var n int
	if err := tx.QueryRowContext(ctx, bind(db.dialect, "SELECT n FROM counters WHERE name = ?"), key).Scan(&n); err != nil {
		return err
	}
	if _, err = tx.ExecContext(ctx, bind(db.dialect, "INSERT INTO numbers VALUES (?, ?)"), id, n); err != nil {
		return err
	}
	return tx.Commit()
}

// A transaction that takes an id and commits long after later ones is sent all the same,
// by a relay that has passed its id by.
func TestALateCommitOfALowIDIsSent(t *testing.T) {
	each(t, func(t *testing.T, db *database) {
		if db.server == nil {
			t.Skip("SQLite has one writer: ids are in the order of commits")
		}
		box := db.box(t)
		s := newService(t, queueServer(t), nil)
		s.handle()
		s.Add("outbox", box.Relay(s, outbox.Settings{Poll: 10 * time.Millisecond}))
		s.start(t)
		late, err := db.Begin()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := outbox.Send(t.Context(), box, late, work, 1); err != nil {
			t.Fatal(err)
		}
		var later []int
		for i := range 250 {
			later = append(later, 100+i)
		}
		send(t, box, db.DB, later)
		within(t, 20*time.Second, "the later ones ran", func() bool { return len(s.ran()) == len(later) })
		if err := late.Commit(); err != nil {
			t.Fatal(err)
		}
		within(t, 20*time.Second, "the late one ran", func() bool { return len(s.ran()) == len(later)+1 })
	})
}
