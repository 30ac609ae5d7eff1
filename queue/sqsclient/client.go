package sqsclient

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
)

// Region and endpoint of requests to a queue in this process. Its HTTP client
// opens no connection.
const (
	embeddedRegion   = "local"
	embeddedEndpoint = "http://sqs.local"
)

// Option gives a collaborator to [New].
type Option func(*options)

type options struct {
	doer        Doer
	credentials aws.CredentialsProvider
	configure   []func(*sqs.Options)
	random      func() float64 // nil: the SDK's own source
}

// WithHTTPClient sends every request through d, which stands for a service in
// this process: no variable and no file is read, requests are not signed
// unless [WithCredentials] is given too, the region defaults to "local" and
// the endpoint to a name that is never looked up.
func WithHTTPClient(d Doer) Option { return func(o *options) { o.doer = d } }

// WithCredentials replaces the SDK's own chain.
func WithCredentials(p aws.CredentialsProvider) Option {
	return func(o *options) { o.credentials = p }
}

// WithRandom lets f draw the numbers in [0, 1) for the waits between the tries of
// a request, from several goroutines. The default is the SDK's own source.
func WithRandom(f func() float64) Option { return func(o *options) { o.random = f } }

// WithOptions changes the SDK's options last of all.
func WithOptions(f ...func(*sqs.Options)) Option {
	return func(o *options) { o.configure = append(o.configure, f...) }
}

// New builds a client. It reads the environment and the shared AWS files, but
// makes no request; [Check] does. Errors: [ErrEndpoint], [ErrRegion], or what
// the SDK says of its configuration files.
func New(ctx context.Context, s Settings, opts ...Option) (*sqs.Client, error) {
	var o options
	for _, opt := range opts {
		opt(&o)
	}
	s = s.withDefaults()
	if err := checkEndpoint(s.Endpoint); err != nil {
		return nil, err
	}
	if o.doer != nil {
		return embedded(s, o), nil
	}

	var load []func(*config.LoadOptions) error
	if s.Region != "" {
		load = append(load, config.WithRegion(s.Region))
	}
	if s.Profile != "" {
		load = append(load, config.WithSharedConfigProfile(s.Profile))
	}
	if o.credentials != nil {
		load = append(load, config.WithCredentialsProvider(o.credentials))
	}
	cfg, err := config.LoadDefaultConfig(ctx, load...)
	if err != nil {
		return nil, fmt.Errorf("sqsclient: the AWS configuration could not be read (profile %q, region %q): %w",
			s.Profile, s.Region, err)
	}
	if cfg.Region == "" {
		return nil, fmt.Errorf("%w: set the region setting, AWS_REGION, or a region in the shared profile%s",
			ErrRegion, inProfile(s.Profile))
	}
	client, last := o.road(httpClient(s))
	cfg.HTTPClient = client
	return sqs.NewFromConfig(cfg, func(so *sqs.Options) {
		if s.Endpoint != "" {
			so.BaseEndpoint = &s.Endpoint
		}
		so.Credentials = explained{cfg.Credentials}
		so.Retryer = retryer(s, o.random)
		last(so)
	}), nil
}

// road is the way of every request of a client: the HTTP client that the SDK
// is to be given, and the last of its options.
func (o options) road(doer Doer) (Doer, func(*sqs.Options)) {
	short := &shortcut{doer: doer}
	return plainBody{next: doer, short: short}, func(so *sqs.Options) {
		withShortWay(so)
		for _, configure := range o.configure {
			configure(so)
		}
		if len(o.configure) == 0 { // else the SDK may have options that the shortcut does not know
			short.options = *so
			so.APIOptions = append(so.APIOptions, short.install)
		}
	}
}

func embedded(s Settings, o options) *sqs.Client {
	client, last := o.road(direct(o.doer))
	so := sqs.Options{
		Region:       s.Region,
		BaseEndpoint: aws.String(s.Endpoint),
		HTTPClient:   client,
		Credentials:  o.credentials,
		Retryer:      retryer(s, o.random),
		// Nothing is lost on the way within a process.
		DisableMessageChecksumValidation: true,
	}
	if so.Region == "" {
		so.Region = embeddedRegion
	}
	if s.Endpoint == "" {
		so.BaseEndpoint = aws.String(embeddedEndpoint)
	}
	if so.Credentials == nil {
		so.Credentials = aws.AnonymousCredentials{}
	}
	return sqs.New(so, last)
}

// direct returns the round tripper of a plain http.Client: a call within a process
// needs no cookies, redirects or time-outs.
func direct(d Doer) Doer {
	if c, ok := d.(*http.Client); ok && c.Transport != nil && c.Timeout == 0 && c.Jar == nil &&
		c.CheckRedirect == nil {
		return tripper{c.Transport}
	}
	return d
}

type tripper struct{ http.RoundTripper }

func (t tripper) Do(r *http.Request) (*http.Response, error) { return t.RoundTrip(r) }

// httpClient is the SDK's own client (its timeouts, its proxy and redirect
// rules) with more idle connections and the plain body. It sets no read
// time-out: a long poll is silent for up to 20 s, and every caller in this
// project bounds its requests by their ctx.
func httpClient(s Settings) Doer {
	client := awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) {
		t.MaxIdleConns = s.IdleConnections
		t.MaxIdleConnsPerHost = s.IdleConnections
	})
	return client.Freeze()
}

func retryer(s Settings, random func() float64) aws.Retryer {
	return retry.NewStandard(func(so *retry.StandardOptions) {
		if random != nil {
			so.Backoff = backoff(s.MaxBackoff, random)
		}
		so.MaxAttempts = s.MaxAttempts
		so.MaxBackoff = s.MaxBackoff
		so.RateLimiter = ratelimit.None
	})
}

// backoff is the SDK's rule with another source: the wait after the n-th try is
// drawn from 0 up to 2ⁿ s, or up to most if that is shorter.
func backoff(most time.Duration, random func() float64) retry.BackoffDelayer {
	return retry.BackoffDelayerFunc(func(attempt int, _ error) (time.Duration, error) {
		return time.Duration(random() * float64(min(time.Second<<min(attempt, 20), most))), nil
	})
}

func checkEndpoint(endpoint string) error {
	if endpoint == "" {
		return nil
	}
	u, err := url.Parse(endpoint)
	switch {
	case strings.Contains(endpoint, "@"): // first: the errors below would show a password
		return fmt.Errorf("%w: it holds an @, which ends a user name; credentials come from the AWS chain",
			ErrEndpoint)
	case err != nil:
		return fmt.Errorf("%w: %q: %w", ErrEndpoint, endpoint, err)
	case u.Scheme != "http" && u.Scheme != "https":
		return fmt.Errorf("%w: %q has scheme %q; write http://host:port or https://host", ErrEndpoint,
			endpoint, u.Scheme)
	case u.Hostname() == "":
		return fmt.Errorf("%w: %q names no host; write http://host:port or https://host", ErrEndpoint, endpoint)
	case u.RawQuery != "" || u.Fragment != "":
		return fmt.Errorf("%w: %q has a query or fragment; give the base URL alone", ErrEndpoint, endpoint)
	}
	return nil
}

func inProfile(profile string) string {
	if profile == "" {
		return ""
	}
	return fmt.Sprintf(" %q", profile)
}
