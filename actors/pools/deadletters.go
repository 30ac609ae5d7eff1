package pools

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/sambatech/chassis/actors/poller"
	"github.com/sambatech/chassis/task"
)

// deadLook is how long a dead letter is hidden from others while it is looked at.
// It is short because a process that dies meanwhile hides the letter for as long; on
// a standard queue a letter can be settled also after that.
const deadLook = 30 * time.Second

// backTime is what sending a letter back may take, less than the time that it
// is hidden.
const backTime = 20 * time.Second

// DeadLetter is a message of the dead-letter pool: a task that was given up,
// or a message that never was a task.
type DeadLetter struct {
	task.Message
	MessageID string
	Pool      string    // the pool that it came from
	Sent      time.Time // when it became a dead letter
	Defects   error     // what is wrong with the message itself, or nil

	pools   *Pools
	url     string
	receipt string
	group   string
	settled bool
}

// ErrMoreDeadLetters says that not all dead letters were listed: those of a FIFO
// group come ten at a time, the next ten after these are sent back or deleted,
// and what others look at is hidden for 30 seconds.
var ErrMoreDeadLetters = errors.New("chassis: there may be more dead letters")

// DeadLetters goes through the dead letters of the pools, one pool after the other.
// Each is hidden from others for 30 seconds; what the loop body neither sends back
// nor deletes is made visible again at the end. The order is the queue's; a standard
// queue keeps none. Where there may be more than could be listed the last error is
// [ErrMoreDeadLetters].
//
//	for d, err := range sys.DeadLetters(ctx) {
//		if err != nil {
//			return err
//		}
//		fmt.Println(d.Name, d.ExecID, d.Reason, d.LastError)
//	}
func (p *Pools) DeadLetters(ctx context.Context) iter.Seq2[*DeadLetter, error] {
	return func(yield func(*DeadLetter, error) bool) {
		for _, l := range p.lanes() {
			more := true
			for d, err := range l.deadLetters(ctx) {
				if more = yield(d, err); !more {
					break
				}
			}
			if !more {
				return
			}
		}
	}
}

func (l *lane) deadLetters(ctx context.Context) iter.Seq2[*DeadLetter, error] {
	p := l.pools
	return func(yield func(*DeadLetter, error) bool) {
		url, err := poller.EnsureQueue(ctx, p.cfg.Queue.Client, l.settings.DeadPool(), poller.EnsureOptions{})
		if errors.Is(err, poller.ErrNoQueue) {
			return // nothing ever died
		}
		if err != nil {
			yield(nil, fmt.Errorf("dead letters of pool %q: %w", l.name(), err))
			return
		}
		var kept []string // receipt handles; the letters themselves may be large, and many
		defer func() { p.unhide(ctx, url, kept) }()
		seen, settled := map[string]bool{}, 0
		for !p.cfg.Queue.Empty(ctx, url) {
			batch, err := l.receiveDead(ctx, url)
			if err != nil {
				yield(nil, err)
				return
			}
			fresh := false
			for i, d := range batch {
				if seen[d.MessageID] {
					kept = append(kept, d.receipt)
					continue
				}
				seen[d.MessageID], fresh = true, true
				more := yield(d, nil)
				if !d.settled {
					kept = append(kept, d.receipt)
				}
				if !more {
					for _, rest := range batch[i+1:] {
						kept = append(kept, rest.receipt)
					}
					return
				}
				if d.settled {
					settled++
				}
			}
			if !fresh {
				break
			}
		}
		if err := l.missed(ctx, url, len(seen), len(seen)-settled); err != nil {
			yield(nil, err)
		}
	}
}

// missed is nil, or [ErrMoreDeadLetters] if the queue holds more letters than
// those that were listed and are still there.
func (l *lane) missed(ctx context.Context, url string, listed, there int) error {
	var q Queue
	if err := l.pools.count(ctx, url, &q); err != nil {
		return fmt.Errorf("%w in %s: %d were listed, and how many there are is not known: %w", ErrMoreDeadLetters,
			l.settings.DeadPool(), listed, err)
	}
	if total := q.Visible + q.InFlight + q.Delayed; total > there {
		return fmt.Errorf("%w in %s: %d were listed, about %d more are there: send back or delete those of a FIFO "+
			"group to see its next, or look again in %v for what another looks at",
			ErrMoreDeadLetters, l.settings.DeadPool(), listed, total-there, deadLook)
	}
	return nil
}

func (l *lane) receiveDead(ctx context.Context, url string) ([]*DeadLetter, error) {
	out, err := l.pools.cfg.Queue.Client.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
		QueueUrl:              &url,
		MaxNumberOfMessages:   10,
		WaitTimeSeconds:       1, // a long poll asks all of SQS's servers
		VisibilityTimeout:     int32(deadLook / time.Second),
		MessageAttributeNames: []string{"All"},
		MessageSystemAttributeNames: []types.MessageSystemAttributeName{
			types.MessageSystemAttributeNameSentTimestamp, types.MessageSystemAttributeNameMessageGroupId,
		},
	})
	if err != nil {
		return nil, fmt.Errorf("receive from the dead-letter pool %q: %w", l.settings.DeadPool(), err)
	}
	letters := make([]*DeadLetter, len(out.Messages))
	for i := range out.Messages {
		m := &out.Messages[i]
		d := &DeadLetter{MessageID: aws.ToString(m.MessageId), Pool: l.name(), pools: l.pools, url: url,
			receipt: aws.ToString(m.ReceiptHandle),
			group:   m.Attributes[string(types.MessageSystemAttributeNameMessageGroupId)]}
		d.Message, d.Defects = task.Decode(aws.ToString(m.Body), m.MessageAttributes)
		sent := m.Attributes[string(types.MessageSystemAttributeNameSentTimestamp)]
		if ms, err := strconv.ParseInt(sent, 10, 64); err == nil {
			d.Sent = time.UnixMilli(ms).UTC()
		}
		letters[i] = d
	}
	return letters, nil
}

// unhide makes letters visible again by their receipts. It tries for deadLook at most:
// after that they are visible by themselves.
func (p *Pools) unhide(ctx context.Context, url string, receipts []string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), deadLook)
	defer cancel()
	for batch := range slices.Chunk(receipts, 10) {
		if ctx.Err() != nil {
			return
		}
		entries := make([]types.ChangeMessageVisibilityBatchRequestEntry, len(batch))
		for i := range batch {
			id := strconv.Itoa(i)
			entries[i] = types.ChangeMessageVisibilityBatchRequestEntry{Id: &id, ReceiptHandle: &batch[i]}
		}
		_, err := p.cfg.Queue.Client.ChangeMessageVisibilityBatch(ctx,
			&sqs.ChangeMessageVisibilityBatchInput{QueueUrl: &url, Entries: entries})
		if err != nil {
			p.log().WarnContext(ctx, "dead letters stay hidden for a while", "time", deadLook, "count", len(batch),
				"error", err)
		}
	}
}

// SendBack puts the task on its pool again with a fresh failure budget, and
// then deletes the dead letter. It keeps its exec_id, job and body. Once this
// has begun the end of ctx does not break it off: between the two steps the task
// is there twice.
func (d *DeadLetter) SendBack(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("send dead letter %s back to pool %q: %w", d.MessageID, d.Pool, context.Cause(ctx))
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), backTime)
	defer cancel()
	fresh := d.Message.Renewed()
	group := d.group
	if running := d.pools.running(d.Pool); running > 0 && fresh.Tenant != "" {
		group = task.GroupOfTenant(fresh.Tenant, fresh.ExecID, running)
	}
	_, err := d.pools.sender.Send(ctx, poller.Outgoing{Pool: d.Pool, Body: fresh.Body, Attributes: fresh.Attributes(),
		GroupID: group})
	if err != nil {
		return fmt.Errorf("send dead letter %s back to pool %q: %w", d.MessageID, d.Pool, err)
	}
	return d.Delete(ctx)
}

// Delete removes the dead letter for good.
func (d *DeadLetter) Delete(ctx context.Context) error {
	_, err := d.pools.cfg.Queue.Client.DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: &d.url,
		ReceiptHandle: &d.receipt})
	if err != nil {
		return fmt.Errorf("delete dead letter %s: %w", d.MessageID, err)
	}
	d.settled = true
	return nil
}
