package main

import (
	"context"
	"net"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/queue"
	"github.com/sambatech/chassis/queue/sqsclient"
)

// listener is where the service of the settings serves its embedded queue: the command
// finds the queue of a service that runs without a flag.
type listener struct {
	address string
	server  queue.ServerSettings
}

// open reaches the queue over the address, with the access key of the settings. Keys of
// the environment are AWS's, and are not used.
func (l listener) open(ctx context.Context, s chassis.Settings) (*queues, error) {
	endpoint, err := l.endpoint()
	if err != nil {
		return nil, err
	}
	how := sqsclient.WithOptions(func(o *sqs.Options) { o.Credentials = aws.AnonymousCredentials{} })
	if l.server.AccessKey != "" {
		how = sqsclient.WithCredentials(credentials.NewStaticCredentialsProvider(l.server.AccessKey,
			l.server.SecretKey.Reveal(), ""))
	}
	s.Queue.Path, s.Queue.Endpoint = "", endpoint
	s.Queue.Region = "us-east-1" // the server takes any
	opened, err := queue.Open(ctx, s.Queue, queue.WithSQSOptions(how))
	if err != nil {
		return nil, err
	}
	return &queues{opened, s}, nil
}

// endpoint is the URL that this machine reaches the address by.
func (l listener) endpoint() (string, error) {
	host, port, err := net.SplitHostPort(l.address)
	if err != nil || port == "0" {
		return "", usage("queue.listen is %q, which names no port to connect to: give the address that the service "+
			"logs when it starts as --endpoint", l.address)
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1" // on every interface, this one too
	}
	scheme := "http"
	if l.server.Certificate != "" {
		scheme = "https"
	}
	return scheme + "://" + net.JoinHostPort(host, port), nil
}
