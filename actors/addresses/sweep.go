package addresses

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/sambatech/chassis/queue/sqsclient"
	"github.com/sambatech/chassis/task"
)

const (
	// sweepEvery is the time between two rounds of looks at the inboxes of others, and
	// deadAfter how long a message lies in an inbox without an owner. A killed process is
	// noticed within four rounds, which is less than a minute.
	sweepEvery = 12 * time.Second
	deadAfter  = 22 * time.Second

	// sureAfter is the pause before the second look.
	sureAfter = 2 * time.Second

	// sweepFor is how long a process without an inbox takes part after its last answer.
	sweepFor = 10 * time.Minute

	mostPrefixes = 16 // kinds of inboxes that one process sweeps
)

// sweep looks at the inboxes of others, from the place that id has among them, and returns
// what is known of them now.
func (c *core) sweep(ctx context.Context, prefixes []string, id string, known map[string]verdict) map[string]verdict {
	known = maps.Clone(known)
	for _, prefix := range prefixes {
		found, err := c.inboxes(ctx, prefix)
		if err != nil {
			c.complain("the inboxes of other processes cannot be listed: those of dead ones stay", err)
			return known
		}
		maps.DeleteFunc(known, func(name string, _ verdict) bool {
			_, there := found[name]
			return strings.HasPrefix(name, prefix) && !there
		})
		names := ring(slices.Collect(maps.Keys(found)), prefix+id, known)
		verdicts := make([]verdict, len(names))
		var looks sync.WaitGroup
		for i, name := range names {
			looks.Go(func() {
				if verdicts[i] = c.look(ctx, name, found[name], known[name]); verdicts[i] == dead {
					c.bury(ctx, name, found[name])
				}
			})
		}
		looks.Wait()
		for i, name := range names {
			known[name] = verdicts[i]
		}
	}
	return known
}

// verdict is what the last look said of the owner of an inbox.
type verdict uint8

const (
	unsure verdict = iota
	pinged         // it has a message to take
	lives          // it has taken the one before
	dead           // it has taken nothing for deadAfter
)

// look looks at an inbox; before is what the last look said. An empty one gets a ping, which
// must be gone by the next look.
func (c *core) look(ctx context.Context, name, url string, before verdict) verdict {
	seen, err := c.peek(ctx, url)
	switch {
	case err != nil:
		return before
	case len(seen.old) > 0:
		pause(ctx, sureAfter)
		again, err := c.peek(ctx, url)
		still := func(id string) bool { return slices.Contains(again.old, id) }
		if err != nil || !slices.ContainsFunc(seen.old, still) {
			return unsure
		}
		return dead
	case seen.young > 0 && seen.oldest >= sweepEvery/2:
		return min(before, pinged)
	case seen.young == 0:
		c.cfg.Send(ctx, []task.Outgoing{{Pool: name, Body: "{}", Optional: true}})
	}
	if before == unsure {
		return pinged
	}
	return lives // what lay there at the last look is gone
}

// glance is what a look without hiding has found.
type glance struct {
	old    []string // ids of messages that have been there for deadAfter, by the service's clock
	young  int
	oldest time.Duration // of them
}

func (c *core) peek(ctx context.Context, url string) (g glance, err error) {
	ctx, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	out, err := c.cfg.Client.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
		QueueUrl: &url, MaxNumberOfMessages: batchSize, WaitTimeSeconds: 1, // so that SQS asks all its servers
		MessageSystemAttributeNames: []types.MessageSystemAttributeName{
			types.MessageSystemAttributeNameSentTimestamp}})
	if err != nil {
		return g, err
	}
	now, dated := awsmiddleware.GetServerTime(out.ResultMetadata)
	if !dated {
		now = time.Now() // an embedded queue in this process, by the same clock
	}
	for i := range out.Messages {
		m := &out.Messages[i]
		ms, err := strconv.ParseInt(m.Attributes[string(types.MessageSystemAttributeNameSentTimestamp)], 10, 64)
		if err != nil || m.MessageId == nil {
			g.young, g.oldest = g.young+1, sweepEvery // it proves nothing
			continue
		}
		if age := now.Sub(time.UnixMilli(ms)); age >= deadAfter {
			g.old = append(g.old, *m.MessageId)
		} else {
			g.young, g.oldest = g.young+1, max(g.oldest, age)
		}
	}
	return g, nil
}

// bury removes the inbox of a dead process.
func (c *core) bury(ctx context.Context, name, url string) {
	ctx, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	if err := c.remove(ctx, url); err != nil {
		c.complain("the inbox of a dead process cannot be removed", err)
		return
	}
	c.counts.swept.Add(1)
	c.log.Info("the inbox of a process that has not received for long was removed: it was killed, or suspended",
		"queue", name)
}

// inboxes returns the inboxes of a prefix: their URLs by their names.
func (c *core) inboxes(ctx context.Context, prefix string) (map[string]string, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	found := map[string]string{}
	in := &sqs.ListQueuesInput{QueueNamePrefix: &prefix, MaxResults: aws.Int32(1000)}
	pages := sqs.NewListQueuesPaginator(c.cfg.Client, in)
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, sqsclient.Explain(c.cfg.Client, err)
		}
		for _, url := range page.QueueUrls {
			name := url[strings.LastIndexByte(url, '/')+1:]
			if len(name) == len(prefix)+idLength && task.IsInbox(name) {
				found[name] = url
			}
		}
	}
	return found, nil
}
