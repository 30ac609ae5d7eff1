package chassis

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/sambatech/chassis/queue/localsqs"
	"github.com/sambatech/chassis/queue/sqsclient"
)

// queue is the service that holds the messages, as this system reaches it:
// always by the AWS SDK's client, whether AWS is behind it or our own server in
// this process.
type queue struct {
	client *sqs.Client
	local  *localsqs.Server // nil with SQS
	lent   bool             // local is the caller's to close
	what   string           // for people
}

func openQueue(ctx context.Context, s QueueSettings, o *options, log *slog.Logger) (*queue, error) {
	if o.client != nil {
		return &queue{client: o.client, what: "a client of the caller's own"}, nil
	}
	if o.server != nil {
		client, err := sqsclient.New(ctx, sqsclient.Settings{}, sqsclient.WithHTTPClient(o.server.HTTPClient()))
		return &queue{client: client, local: o.server, lent: true, what: "embedded, the caller's own"}, err
	}
	if !s.Embedded() {
		client, err := sqsclient.New(ctx, s.SQSSettings)
		if err != nil {
			return nil, fmt.Errorf("queue: %w", err)
		}
		return &queue{client: client, what: "SQS at " + or(s.Endpoint, "AWS") + ", region " + client.Options().Region}, nil
	}
	opts, err := s.Server.options()
	if err != nil {
		return nil, err
	}
	opts = append(opts, localsqs.Logger(log))
	what := "embedded, in memory: its messages end with this process"
	if s.Path != "" {
		opts = append(opts, localsqs.Path(s.Path))
		what = "embedded, in " + s.Path
	}
	server, err := localsqs.New(opts...)
	if errors.Is(err, localsqs.ErrInUse) {
		return nil, fmt.Errorf("queue: the embedded queue cannot start: %w; a file is one process's: let the one that has it listen (queue.listen), and give this one that address as queue.endpoint", err)
	}
	if err != nil {
		return nil, fmt.Errorf("queue: the embedded queue cannot start: %w", err)
	}
	if s.Listen != "" {
		url, err := server.Listen(s.Listen)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("queue.listen: %w", err), server.Close())
		}
		what += ", also at " + url
	}
	client, err := sqsclient.New(ctx, s.SQSSettings, sqsclient.WithHTTPClient(server.HTTPClient()))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("queue: %w", err), server.Close())
	}
	return &queue{client: client, local: server, what: what}, nil
}

func (q *queue) close(ctx context.Context) error {
	if q.local == nil || q.lent {
		return nil
	}
	return q.local.Shutdown(ctx)
}

// recall is how a long poll is cut short: by the embedded queue, in this process.
func (q *queue) recall() func(context.Context, <-chan struct{}) context.Context {
	if q.local == nil {
		return nil
	}
	return localsqs.WithRecall
}

// empty says that the embedded queue, whose numbers are exact, has nothing
// visible at url, so that no long poll has to find out. Of SQS it is never
// known.
func (q *queue) empty(ctx context.Context, url string) bool {
	if q.local == nil {
		return false
	}
	const visible = types.QueueAttributeNameApproximateNumberOfMessages
	out, err := q.client.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: &url, AttributeNames: []types.QueueAttributeName{visible}})
	return err == nil && out.Attributes[string(visible)] == "0"
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
