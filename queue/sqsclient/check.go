package sqsclient

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// Errors of a client before its first message.
var (
	ErrEndpoint    = errors.New("sqsclient: the endpoint of the queue service is not a usable URL")
	ErrRegion      = errors.New("sqsclient: there is no AWS region")
	ErrCredentials = errors.New("sqsclient: there are no AWS credentials")
	ErrRefused     = errors.New("sqsclient: the queue service refused the credentials")
	ErrUnreachable = errors.New("sqsclient: the queue service does not answer")
)

// refusals are the error codes by which AWS refuses who is asking, as opposed
// to what is asked (the common errors of the AWS query and JSON protocols).
var refusals = map[string]bool{
	"InvalidClientTokenId":        true,
	"UnrecognizedClientException": true,
	"InvalidAccessKeyId":          true,
	"SignatureDoesNotMatch":       true,
	"InvalidSignatureException":   true,
	"IncompleteSignature":         true,
	"MissingAuthenticationToken":  true,
	"ExpiredToken":                true,
	"ExpiredTokenException":       true,
	"OptInRequired":               true,
}

// Check returns nil if the client can work at all: it has a region and finds
// credentials, and the service at the endpoint answers and accepts them. It makes
// one request (ListQueues, at most one name). A caller that may not list queues is
// no error: nothing here needs to. Bound it by ctx.
func Check(ctx context.Context, client *sqs.Client) error {
	o := client.Options()
	if o.Region == "" {
		return fmt.Errorf("%w: set the region setting or AWS_REGION", ErrRegion)
	}
	if o.Credentials != nil { // nil: requests are not signed
		if _, err := o.Credentials.Retrieve(ctx); err != nil {
			return err
		}
	}
	_, err := client.ListQueues(ctx, &sqs.ListQueuesInput{MaxResults: aws.Int32(1)})
	var api smithy.APIError
	var response *smithyhttp.ResponseError
	if errors.As(err, &api) && !refusals[api.ErrorCode()] && errors.As(err, &response) &&
		response.HTTPStatusCode() < 500 {
		return nil // it answers about the call, not about the caller
	}
	if err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) { // it takes connections and says nothing
		return unreachable(o, err)
	}
	return Explain(client, err)
}

// Explain returns err with the endpoint, the region and what to do, if the service
// cannot be reached or refuses the caller: it then is [ErrUnreachable] or
// [ErrRefused] too. It returns any other error as it is.
func Explain(client *sqs.Client, err error) error {
	if err == nil {
		return nil
	}
	o := client.Options()
	var api smithy.APIError
	if errors.As(err, &api) {
		if refusals[api.ErrorCode()] {
			return fmt.Errorf("%w at %s: check the keys, their session token, the region and the clock of this "+
				"machine: %w", ErrRefused, where(o), err)
		}
		return err
	}
	var send *smithyhttp.RequestSendError
	if errors.As(err, &send) {
		return unreachable(o, err)
	}
	return err
}

func unreachable(o sqs.Options, err error) error {
	return fmt.Errorf("%w at %s: check the endpoint setting, the network and that the service runs: %w",
		ErrUnreachable, where(o), err)
}

func where(o sqs.Options) string {
	if o.BaseEndpoint != nil {
		return *o.BaseEndpoint + " (region " + o.Region + ")"
	}
	return "AWS's own endpoint of region " + o.Region
}

// explained is a chain of credentials with errors that say what to do, in [Check]
// and in the first call alike.
type explained struct{ chain aws.CredentialsProvider }

func (t explained) Retrieve(ctx context.Context) (aws.Credentials, error) {
	c, err := t.chain.Retrieve(ctx)
	if err != nil && ctx.Err() == nil {
		err = fmt.Errorf("%w: none of the SDK's sources (environment, shared files, web identity, container or "+
			"instance role) gave any; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or run "+
			"under a role: %w", ErrCredentials, err)
	}
	return c, err
}

// IsCredentialsProvider lets the SDK see what the chain is: with anonymous
// credentials requests are not signed.
func (t explained) IsCredentialsProvider(target aws.CredentialsProvider) bool {
	return aws.IsCredentialsProvider(t.chain, target)
}
