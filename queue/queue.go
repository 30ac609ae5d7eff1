package queue

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/sambatech/chassis/queue/localsqs"
	"github.com/sambatech/chassis/queue/sqsclient"
)

// Queue is a queue service within reach. Make it with [Open].
type Queue struct {
	Client *sqs.Client
	Server *localsqs.Server // the embedded queue; nil with SQS

	owned bool // Close stops Server
	name  string
}

// Option gives a collaborator to [Open].
type Option func(*options)

type options struct {
	client *sqs.Client
	server *localsqs.Server
	sqs    []sqsclient.Option
	local  []localsqs.Option
	random func() float64
}

// WithClient uses client and ignores the settings. A nil client changes nothing.
func WithClient(client *sqs.Client) Option { return func(o *options) { o.client = client } }

// WithServer uses server and ignores the settings. A nil server changes nothing.
func WithServer(server *localsqs.Server) Option { return func(o *options) { o.server = server } }

// WithSQSOptions passes opts to the client of SQS.
func WithSQSOptions(opts ...sqsclient.Option) Option {
	return func(o *options) { o.sqs = append(o.sqs, opts...) }
}

// WithServerOptions passes opts to the server of the embedded queue.
func WithServerOptions(opts ...localsqs.Option) Option {
	return func(o *options) { o.local = append(o.local, opts...) }
}

// WithRandom is [sqsclient.WithRandom] for the client that [Open] makes. A nil f
// changes nothing.
func WithRandom(f func() float64) Option { return func(o *options) { o.random = f } }

// Open reaches the queue that s describes. For SQS it reads the AWS configuration
// and makes no request. For the embedded queue it starts the server, which
// [Queue.Close] stops. A file of another process is [localsqs.ErrInUse].
func Open(ctx context.Context, s Settings, opts ...Option) (*Queue, error) {
	var o options
	for _, opt := range opts {
		opt(&o)
	}
	switch {
	case o.client != nil:
		return &Queue{Client: o.client, name: "a client of the caller"}, nil
	case o.server != nil:
		return connect(ctx, &Queue{Server: o.server, name: "an embedded queue of the caller"}, SQSSettings{}, o)
	case s.Embedded():
		return openEmbedded(ctx, s, o)
	}
	client, err := sqsclient.New(ctx, s.SQSSettings, append(o.sqs, sqsclient.WithRandom(o.random))...)
	if err != nil {
		return nil, fmt.Errorf("queue: %w", err)
	}
	return &Queue{Client: client, name: "SQS at " + cmp.Or(s.Endpoint, "AWS") + ", region " +
		client.Options().Region}, nil
}

func openEmbedded(ctx context.Context, s Settings, o options) (*Queue, error) {
	opts, err := s.Server.options()
	if err != nil {
		return nil, fmt.Errorf("queue.server: %w", err)
	}
	opts = append(opts, o.local...)
	name := "the embedded queue in memory, which ends with this process"
	if s.Path != "" {
		opts = append(opts, localsqs.Path(s.Path))
		name = "the embedded queue in " + s.Path
	}
	server, err := localsqs.New(opts...)
	if errors.Is(err, localsqs.ErrInUse) {
		err = fmt.Errorf("%w; only one process can open a file: let that process listen (queue.listen), and set "+
			"queue.endpoint to its address here", err)
	}
	if err != nil {
		return nil, fmt.Errorf("queue: the embedded queue cannot start: %w", err)
	}
	if s.Listen != "" {
		url, err := server.Listen(s.Listen)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("queue.listen: %w", err), server.Close())
		}
		name += ", also at " + url
	}
	q, err := connect(ctx, &Queue{Server: server, owned: true, name: name}, s.SQSSettings, o)
	if err != nil {
		return nil, errors.Join(err, server.Close())
	}
	return q, nil
}

// connect makes the client that calls q.Server in this process.
func connect(ctx context.Context, q *Queue, s SQSSettings, o options) (_ *Queue, err error) {
	q.Client, err = sqsclient.New(ctx, s, sqsclient.WithHTTPClient(q.Server.HTTPClient()),
		sqsclient.WithRandom(o.random))
	if err != nil {
		return nil, fmt.Errorf("queue: %w", err)
	}
	return q, nil
}

// String names the queue for people.
func (q *Queue) String() string { return q.name }

// Close stops the server that [Open] has started. It waits until ctx ends for the
// requests under way.
func (q *Queue) Close(ctx context.Context) error {
	if !q.owned {
		return nil
	}
	return q.Server.Shutdown(ctx)
}

// Recall returns the function that lets a long poll be cut short, or nil: only
// the embedded queue can do that.
func (q *Queue) Recall() func(context.Context, <-chan struct{}) context.Context {
	if q.Server == nil {
		return nil
	}
	return localsqs.WithRecall
}

// Empty reports whether the queue at url has no visible message for certain. The
// counts of SQS are not exact, so for SQS it returns false.
func (q *Queue) Empty(ctx context.Context, url string) bool {
	if q.Server == nil {
		return false
	}
	const visible = types.QueueAttributeNameApproximateNumberOfMessages
	out, err := q.Client.GetQueueAttributes(ctx,
		&sqs.GetQueueAttributesInput{QueueUrl: &url, AttributeNames: []types.QueueAttributeName{visible}})
	return err == nil && out.Attributes[string(visible)] == "0"
}
