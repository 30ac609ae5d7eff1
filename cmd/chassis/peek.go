package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/spf13/cobra"

	"github.com/sambatech/chassis/queue/localsqs"
	"github.com/sambatech/chassis/queue/sqsclient"
)

func (a *app) queuePeek(p *place) *cobra.Command {
	var limit int
	var receive bool
	var o opening
	c := &cobra.Command{
		Use: "peek QUEUE", Short: "Look at messages without receiving them",
		Long: `Look at messages of a queue without receiving them, those sent first.

AWS cannot do that: there --receive receives them and makes them visible again
at once, which counts as a delivery. A task that was delivered and not settled
looks as if its process had crashed, and that spends one of its failures: do not
do it on a task pool that you care about. To look at dead letters, use
"chassis dead ls".`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: completeQueues(p),
		RunE: runs(func(ctx context.Context, args []string) error {
			if limit < 1 || limit > 1000 {
				return usage("--max is %d: want 1 to 1000", limit)
			}
			opener, err := o.opener(p.files)
			if err != nil {
				return err
			}
			defer opener.close()
			return p.with(ctx, func(q *queues) error {
				found, err := q.peek(ctx, args[0], limit, receive)
				if err != nil {
					return err
				}
				for i := range found { // one that stays closed is shown as it is
					found[i].Body, _, _ = opener.open(ctx, found[i].Body)
				}
				return a.showMessages(found)
			})
		}),
	}
	c.Flags().IntVar(&limit, "max", 10, "messages to look at, 1 to 1000")
	c.Flags().BoolVar(&receive, "receive", false,
		"where nothing else is possible: receive them, which counts as a delivery")
	o.flags(c.Flags())
	return c
}

func (a *app) showMessages(found []localsqs.Peeked) error {
	if a.json {
		if found == nil {
			found = []localsqs.Peeked{}
		}
		return a.printJSON(found)
	}
	for _, m := range found {
		fmt.Fprintf(a.out, "%s  %s, sent %s, received %d times\n", m.MessageID, m.State, m.Sent.Format(time.RFC3339),
			m.Receives)
		if !m.Visible.IsZero() {
			fmt.Fprintf(a.out, "  visible at %s\n", m.Visible.Format(time.RFC3339))
		}
		for _, name := range sorted(m.Attributes) {
			fmt.Fprintf(a.out, "  %s: %s\n", name, printable(cut(m.Attributes[name], 200)))
		}
		fmt.Fprintf(a.out, "  %s\n", printable(cut(m.Body, 1000)))
	}
	if len(found) == 0 {
		fmt.Fprintln(a.out, "no messages")
	}
	return nil
}

func (q *queues) peek(ctx context.Context, name string, limit int, receive bool) ([]localsqs.Peeked, error) {
	queueURL, err := q.url(ctx, name)
	if err != nil {
		return nil, err
	}
	if q.Server != nil {
		return q.Server.Peek(name, limit)
	}
	if found, ok, err := q.peekOver(ctx, queueURL, name, limit); ok || err != nil {
		return found, err
	}
	if !receive {
		return nil, usage("%s cannot show messages without receiving them, which counts as a delivery; if that does "+
			"not matter, give --receive", q)
	}
	return q.receive(ctx, queueURL, limit)
}

// peekOver asks the endpoint's page for people, if it is a localsqs.
func (q *queues) peekOver(ctx context.Context, queueURL, name string, limit int) ([]localsqs.Peeked, bool, error) {
	base := q.settings.Queue.Endpoint
	if base == "" {
		return nil, false, nil
	}
	if region := q.settings.Queue.Region; region != "" { // signed: its queues are the region's
		parts := strings.Split(queueURL, "/")
		name = fmt.Sprintf("arn:aws:sqs:%s:%s:%s", region, parts[len(parts)-2], name)
	}
	at := strings.TrimSuffix(base, "/") + "/-/peek?" + url.Values{"queue": {name},
		"max": {strconv.Itoa(limit)}}.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at, nil)
	if err != nil {
		return nil, false, err
	}
	if err := q.sign(ctx, req); err != nil {
		return nil, false, fmt.Errorf("look at queue %q: %w", name, err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, false, fmt.Errorf("look at queue %q: %w", name, err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK || !strings.HasPrefix(res.Header.Get("Content-Type"), "application/json") {
		return nil, false, nil // another server, which does not have that page
	}
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, false, fmt.Errorf("look at queue %q: %w", name, err)
	}
	var found []localsqs.Peeked
	if json.Unmarshal(body, &found) != nil {
		return nil, false, nil
	}
	return found, true, nil
}

// sign signs a request without a body as the client signs its own, if it does.
func (q *queues) sign(ctx context.Context, r *http.Request) error {
	o := q.Client.Options()
	if o.Credentials == nil || aws.IsCredentialsProvider(o.Credentials, aws.AnonymousCredentials{}) {
		return nil
	}
	keys, err := o.Credentials.Retrieve(ctx)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(nil)
	return v4.NewSigner().SignHTTP(ctx, keys, r, hex.EncodeToString(sum[:]), "sqs", o.Region, time.Now())
}

// receive receives messages and makes them visible again.
func (q *queues) receive(ctx context.Context, queueURL string, limit int) (found []localsqs.Peeked, err error) {
	var handles []types.ChangeMessageVisibilityBatchRequestEntry
	defer func() {
		for len(handles) > 0 {
			n := min(10, len(handles))
			_, failed := q.Client.ChangeMessageVisibilityBatch(context.WithoutCancel(ctx),
				&sqs.ChangeMessageVisibilityBatchInput{QueueUrl: &queueURL, Entries: handles[:n]})
			handles = handles[n:]
			if failed != nil {
				err = errors.Join(err, fmt.Errorf("messages stay hidden for a minute: %w", failed))
			}
		}
	}()
	for len(found) < limit {
		out, err := q.Client.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
			QueueUrl: &queueURL, MaxNumberOfMessages: int32(min(10, limit-len(found))), WaitTimeSeconds: 1, VisibilityTimeout: 60,
			MessageAttributeNames: []string{"All"}, MessageSystemAttributeNames: []types.MessageSystemAttributeName{"All"},
		})
		if err != nil {
			return found, fmt.Errorf("receive: %w", sqsclient.Explain(q.Client, err))
		}
		if len(out.Messages) == 0 {
			return found, nil
		}
		for _, m := range out.Messages {
			handles = append(handles, types.ChangeMessageVisibilityBatchRequestEntry{
				Id: aws.String(strconv.Itoa(len(handles))), ReceiptHandle: m.ReceiptHandle,
			})
			found = append(found, lookedAt(m))
		}
	}
	return found, nil
}

func lookedAt(m types.Message) localsqs.Peeked {
	p := localsqs.Peeked{MessageID: aws.ToString(m.MessageId), Body: aws.ToString(m.Body), State: "visible",
		Attributes: map[string]string{}, Group: m.Attributes["MessageGroupId"]}
	for name, v := range m.MessageAttributes {
		p.Attributes[name] = aws.ToString(v.StringValue)
	}
	if ms, err := strconv.ParseInt(m.Attributes["SentTimestamp"], 10, 64); err == nil {
		p.Sent = time.UnixMilli(ms).UTC()
	}
	p.Receives, _ = strconv.Atoi(m.Attributes["ApproximateReceiveCount"]) // absent with some servers: 0
	return p
}
