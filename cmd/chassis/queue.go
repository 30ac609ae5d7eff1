package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/spf13/cobra"

	"github.com/sambatech/chassis/actors/poller"
	"github.com/sambatech/chassis/queue"
	"github.com/sambatech/chassis/queue/sqsclient"
)

func (a *app) queueCommand() *cobra.Command {
	c := a.group(&cobra.Command{Use: "queue", Short: "Serve an SQS on this machine; list, look into and empty queues"})
	p := &place{}
	ls, peek, purge := a.queueLs(p), a.queuePeek(p), a.queuePurge(p)
	for _, sub := range []*cobra.Command{ls, peek, purge} {
		p.flags(sub)
	}
	c.AddCommand(a.queueServe(), ls, peek, purge)
	return c
}

func (a *app) queueServe() *cobra.Command {
	o := &serving{}
	c := &cobra.Command{
		Use:   "serve",
		Short: "Serve an SQS, in memory or in a file, until interrupted",
		Long: `Serve an SQS, in memory or (--path) in a file, until interrupted.
Any SDK in any language can use it: give it the URL as its endpoint.
GET /-/stats, /-/peek?queue=NAME, /-/health and /-/metrics show what is in it.

Off loopback it needs --credentials; requests must be signed with one of them
then, and so must looks at the pages but /-/health.

A flag that is not given is read from its variable: LOCALSQS_LISTEN for --listen,
LOCALSQS_AS_AWS for --as-aws. LOCALSQS_HOST and LOCALSQS_CREATE have commas between
their values. LOCALSQS_CREDENTIALS has keys, LOCALSQS_CREDENTIALS_FILE names a file
of them.`,
		Args:    cobra.NoArgs,
		PreRunE: func(c *cobra.Command, _ []string) error { return fromEnvironment(c.Flags()) },
		RunE:    runs(func(ctx context.Context, _ []string) error { return a.serve(ctx, o) }),
	}
	f := c.Flags()
	f.StringVar(&o.path, "path", "", "file that keeps the queues; without one they end with this process")
	f.StringVar(&o.listen, "listen", "127.0.0.1:9324", "address; port 0 takes a free one")
	f.StringArrayVar(&o.create, "create", nil, "queue to create, if it is not there; may be given again")
	f.StringVar(&o.account, "account", "000000000000", "account of queue URLs and ARNs, twelve digits")
	f.StringArrayVar(&o.hosts, "host", nil, "name under which requests may address the server; may be given again")
	f.StringVar(&o.credentials, "credentials", "", "file of access keys, ID:SECRET a line (default the lines of "+
		credentialsVariable+")")
	f.StringVar(&o.certificate, "tls-cert", "", "PEM file of the TLS certificate; with --tls-key it serves HTTPS")
	f.StringVar(&o.key, "tls-key", "", "PEM file of the certificate's private key")
	f.BoolVar(&o.strict, "strict", false, "make names of deleted queues and purges wait for 60 s, as AWS does")
	f.BoolVar(&o.asAWS, "as-aws", false,
		"behave as AWS at its worst: somewhat out of order, now and then twice, short polls that miss messages, "+
			"late counts and attributes, fair queues by AWS's rule")
	f.Uint64Var(&o.seed, "seed", 0, "what --as-aws draws by (default another one at each start, which is printed)")
	return c
}

func (a *app) serve(ctx context.Context, o *serving) error {
	q, err := o.open(ctx)
	if err != nil {
		return err
	}
	err = a.served(ctx, q, o)
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	return errors.Join(err, q.Close(stop))
}

func (a *app) served(ctx context.Context, q *queue.Queue, o *serving) error {
	for _, name := range o.create {
		if _, err := poller.EnsureQueue(ctx, q.Client, name, poller.EnsureOptions{Create: true}); err != nil {
			return err
		}
	}
	url, err := q.Server.Listen(o.listen)
	if err != nil {
		return err
	}
	if a.json {
		line := map[string]any{"endpoint": url, "path": o.path}
		if o.asAWS {
			line["seed"] = o.seed
		}
		if err := a.printLine(line); err != nil {
			return err
		}
	} else {
		kept := "in memory: its messages end with this process"
		if o.path != "" {
			kept = "in " + o.path
		}
		at := reachable(url)
		fmt.Fprintf(a.out, `SQS at %s, %s

  aws --endpoint-url %s sqs list-queues
  export AWS_ENDPOINT_URL_SQS=%s
  curl %s/-/stats

The variable is read by SDKs and command lines of July 2023 and later. Older ones,
many an AWS CLI v1 among them, would work on AWS itself: give them --endpoint-url
at each call, or the endpoint in their code.

Ctrl-C ends it.
`, url, kept, at, at, at)
		if o.asAWS {
			fmt.Fprintf(a.out, "It behaves as AWS at its worst, by --seed %d.\n", o.seed)
		}
	}
	<-ctx.Done()
	return nil
}

// queueRow is one queue of ls.
type queueRow struct {
	Name       string `json:"name"`
	URL        string `json:"url"`
	Visible    int    `json:"visible"`
	InFlight   int    `json:"in_flight"`
	Delayed    int    `json:"delayed"`
	Visibility int    `json:"visibility_timeout_seconds"`
	Retention  int    `json:"retention_seconds"`
	FIFO       bool   `json:"fifo"`
}

func (a *app) queueLs(p *place) *cobra.Command {
	return &cobra.Command{
		Use: "ls [PREFIX]", Aliases: []string{"list"}, Short: "List queues with the number of their messages",
		Args: cobra.MaximumNArgs(1),
		RunE: runs(func(ctx context.Context, args []string) error {
			return p.with(ctx, func(q *queues) error {
				rows, err := q.list(ctx, strings.Join(args, ""))
				if err != nil {
					return err
				}
				if a.json {
					return a.printJSON(rows)
				}
				var table [][]string
				for _, r := range rows {
					table = append(table, []string{r.Name, strconv.Itoa(r.Visible), strconv.Itoa(r.InFlight),
						strconv.Itoa(r.Delayed),
						(time.Duration(r.Visibility) * time.Second).String(), (time.Duration(r.Retention) * time.Second).String()})
				}
				return a.table("QUEUE\tVISIBLE\tIN FLIGHT\tDELAYED\tVISIBILITY\tRETENTION", table)
			})
		}),
	}
}

func (q *queues) names(ctx context.Context, prefix string) (urls []string, err error) {
	in := &sqs.ListQueuesInput{MaxResults: aws.Int32(1000)}
	if prefix != "" {
		in.QueueNamePrefix = &prefix
	}
	for pages := sqs.NewListQueuesPaginator(q.Client, in); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("list the queues of %s: %w", q, sqsclient.Explain(q.Client, err))
		}
		urls = append(urls, page.QueueUrls...)
	}
	slices.Sort(urls)
	return urls, nil
}

func (q *queues) list(ctx context.Context, prefix string) ([]queueRow, error) {
	urls, err := q.names(ctx, prefix)
	if err != nil {
		return nil, err
	}
	rows := []queueRow{}
	for _, url := range urls {
		row, err := q.row(ctx, url)
		var gone *types.QueueDoesNotExist
		if errors.As(err, &gone) {
			continue // deleted since it was listed
		}
		if err != nil {
			return nil, err
		}
		rows = append(rows, row)
	}
	return rows, nil
}

func (q *queues) row(ctx context.Context, url string) (queueRow, error) {
	out, err := q.Client.GetQueueAttributes(ctx,
		&sqs.GetQueueAttributesInput{QueueUrl: &url, AttributeNames: []types.QueueAttributeName{"All"}})
	if err != nil {
		return queueRow{}, fmt.Errorf("attributes of %s: %w", url, sqsclient.Explain(q.Client, err))
	}
	number := func(name types.QueueAttributeName) int {
		n, _ := strconv.Atoi(out.Attributes[string(name)]) // absent with some servers: 0
		return n
	}
	name := url[strings.LastIndexByte(url, '/')+1:]
	return queueRow{
		Name: name, URL: url, FIFO: strings.HasSuffix(name, ".fifo"),
		Visible:    number(types.QueueAttributeNameApproximateNumberOfMessages),
		InFlight:   number(types.QueueAttributeNameApproximateNumberOfMessagesNotVisible),
		Delayed:    number(types.QueueAttributeNameApproximateNumberOfMessagesDelayed),
		Visibility: number(types.QueueAttributeNameVisibilityTimeout),
		Retention:  number(types.QueueAttributeNameMessageRetentionPeriod),
	}, nil
}

func (a *app) queuePurge(p *place) *cobra.Command {
	var yes bool
	c := &cobra.Command{
		Use: "purge QUEUE", Short: "Delete every message of a queue, for good", Args: cobra.ExactArgs(1),
		ValidArgsFunction: completeQueues(p),
		RunE: runs(func(ctx context.Context, args []string) error {
			return p.with(ctx, func(q *queues) error {
				url, err := q.url(ctx, args[0])
				if err != nil {
					return err
				}
				row, err := q.row(ctx, url)
				if err != nil {
					return err
				}
				n := row.Visible + row.InFlight + row.Delayed
				if err := a.confirm(yes, fmt.Sprintf("Delete about %d messages of queue %q in %s, for good?", n,
					args[0], q)); err != nil {
					return err
				}
				if _, err := q.Client.PurgeQueue(ctx, &sqs.PurgeQueueInput{QueueUrl: &url}); err != nil {
					return fmt.Errorf("purge queue %q: %w", args[0], sqsclient.Explain(q.Client, err))
				}
				if a.json {
					return a.printJSON(map[string]any{"queue": args[0], "purged": n})
				}
				fmt.Fprintf(a.out, "%s: about %d messages deleted\n", args[0], n)
				return nil
			})
		}),
	}
	c.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return c
}

// completeQueues completes the name of a queue.
func completeQueues(p *place) cobra.CompletionFunc {
	return func(c *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		ctx, cancel := context.WithTimeout(c.Context(), 3*time.Second) // the user waits for the completion
		defer cancel()
		var names []string
		err := p.with(ctx, func(q *queues) error {
			urls, err := q.names(ctx, prefix)
			for _, url := range urls {
				if name := url[strings.LastIndexByte(url, '/')+1:]; printable(name) == name {
					names = append(names, name)
				}
			}
			return err
		})
		if err != nil {
			return nil, cobra.ShellCompDirectiveError | cobra.ShellCompDirectiveNoFileComp
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	}
}
