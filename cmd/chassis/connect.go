package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/spf13/cobra"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/queue"
	"github.com/sambatech/chassis/queue/localsqs"
	"github.com/sambatech/chassis/queue/sqsclient"
	"github.com/sambatech/chassis/settings"
)

// place holds the flags for where the queue is.
type place struct {
	files                           []string
	path, endpoint, region, profile string
	pool, admin                     string
	create                          bool // make a file or queue that is not there
}

func (p *place) flags(c *cobra.Command) {
	f := c.PersistentFlags()
	f.StringArrayVar(&p.files, "settings", nil,
		"settings file of the service (default chassis.yaml or .yml, .toml, .json of the working directory, and "+
			"CHASSIS_...)")
	f.StringVar(&p.path, "path", "", "file of an embedded queue that no service has open")
	f.StringVar(&p.endpoint, "endpoint", "", "URL of anything that speaks SQS, for example a service's queue.listen")
	f.StringVar(&p.region, "region", "", "AWS region")
	f.StringVar(&p.profile, "profile", "", "profile of the shared AWS files")
}

func (p *place) poolFlag(c *cobra.Command) {
	c.PersistentFlags().StringVar(&p.pool, "pool", "", "task pool (default the settings' tasks.task_pool)")
}

// sources of the settings: the files that were named, or those of the working
// directory; the environment goes over both.
func sources(files []string) []settings.Option {
	if len(files) == 0 {
		return chassis.Sources()
	}
	var all []settings.Option
	for _, f := range files {
		all = append(all, settings.File(f))
	}
	return append(all, settings.Env("CHASSIS"))
}

// queues is a queue service within reach, and the settings that named it.
type queues struct {
	*queue.Queue
	settings chassis.Settings
}

// open reaches the queue service.
func (p *place) open(ctx context.Context) (*queues, error) {
	s, err := chassis.LoadSettings(sources(p.files)...)
	if err != nil {
		return nil, err
	}
	q := &s.Queue
	if p.path != "" && (p.endpoint != "" || p.region != "" || p.profile != "") {
		return nil, usage("--path is a file on this machine, --endpoint, --region and --profile are a service: " +
			"give one or the other")
	}
	running := listener{q.Listen, q.Server}
	q.Listen, q.Server = "", queue.ServerSettings{} // only the service listens
	if p.path != "" {
		running = listener{} // of another file
		q.Path, q.Endpoint, q.Region, q.Profile = p.path, "", "", ""
	}
	if p.endpoint != "" || p.region != "" || p.profile != "" {
		q.Path, q.Endpoint, q.Region, q.Profile = "", p.endpoint, p.region, p.profile
	}
	if p.pool != "" {
		s.Tasks = s.Tasks.OnlyPool(p.pool)
	}
	if q.Embedded() {
		if q.Path == "" && running.address != "" {
			return running.open(ctx, s)
		}
		if q.Path == "" {
			return nil, usage("no queue is named: give --path FILE, --endpoint URL or --region NAME, or a " +
				"settings file with a section queue; a queue in memory can be seen by its own process only")
		}
		if _, err := os.Stat(q.Path); errors.Is(err, fs.ErrNotExist) && !p.create {
			return nil, notFound("there is no queue file %s", q.Path)
		} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	service, opts := dialing(*q)
	opened, err := queue.Open(ctx, service, opts...)
	if errors.Is(err, localsqs.ErrInUse) && running.address != "" {
		return running.open(ctx, s)
	}
	if errors.Is(err, localsqs.ErrInUse) {
		return nil, fmt.Errorf("%w; then give that address as --endpoint", err)
	}
	if err != nil {
		return nil, err
	}
	return &queues{opened, s}, nil
}

// dialing returns the settings and options that reach a server on this machine
// without keys in the environment. Without a region requests carry no signature,
// as those of the in-process client of an embedded queue. With a region any keys
// will do.
func dialing(s queue.Settings) (queue.Settings, []queue.Option) {
	if !onLoopback(s.Endpoint) || s.Profile != "" {
		return s, nil
	}
	how := sqsclient.WithCredentials(credentials.NewStaticCredentialsProvider("local", "local", ""))
	if s.Region == "" {
		s.Region = "us-east-1" // a server that takes requests without a signature ignores it
		how = sqsclient.WithOptions(func(o *sqs.Options) { o.Credentials = aws.AnonymousCredentials{} })
	}
	if os.Getenv("AWS_ACCESS_KEY_ID") != "" {
		return s, nil
	}
	return s, []queue.Option{queue.WithSQSOptions(how)}
}

func onLoopback(endpoint string) bool {
	u, err := url.Parse(endpoint)
	if err != nil || endpoint == "" {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}

// with opens the place, runs f, and closes it.
func (p *place) with(ctx context.Context, f func(*queues) error) error {
	q, err := p.open(ctx)
	if err != nil {
		return err
	}
	return errors.Join(f(q), q.Close(context.WithoutCancel(ctx)))
}

// url of a queue by name.
func (q *queues) url(ctx context.Context, name string) (string, error) {
	out, err := q.Client.GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: &name})
	var missing *types.QueueDoesNotExist
	if errors.As(err, &missing) {
		return "", notFound("there is no queue %q in %s", name, q)
	}
	if err != nil {
		return "", fmt.Errorf("look up queue %q: %w", name, sqsclient.Explain(q.Client, err))
	}
	return aws.ToString(out.QueueUrl), nil
}

// poolName is the task pool that was chosen.
func (q *queues) poolName() (string, error) {
	if q.settings.Tasks.TaskPool == "" {
		return "", usage("no task pool is named: give --pool NAME, or set tasks.task_pool")
	}
	return q.settings.Tasks.TaskPool, nil
}
