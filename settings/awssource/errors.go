package awssource

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// errLate is the cause of the end of a reading that took too long.
var errLate = errors.New("awssource: the time of a reading is over")

// notThere is the error where AWS has nothing at an address.
type notThere string

func (e notThere) Error() string { return string(e) }

// Is makes it an fs.ErrNotExist.
func (e notThere) Is(target error) bool { return target == fs.ErrNotExist }

// refusals are the codes by which AWS refuses the caller's rights or keys.
var refusals = map[string]string{
	"AccessDenied":                "",
	"AccessDeniedException":       "",
	"UnrecognizedClientException": "; are the keys of this account and region?",
	"InvalidClientTokenId":        "; are the keys of this account?",
	"InvalidSignatureException":   "; are the keys whole, and is the clock right?",
	"ExpiredTokenException":       "; the session of the keys has ended",
	"ExpiredToken":                "; the session of the keys has ended",
}

// explain returns what a request was, what AWS said and what to do. what names the parameter or secret.
func (s *Store) explain(ctx context.Context, action, what string, err error) error {
	region := s.region
	if region == "" {
		return fmt.Errorf("%s of %s: there is no AWS region: set AWS_REGION, or the region in aws.Config", action,
			what)
	}
	var slow tooSlow
	var keys *credentialsError
	switch {
	case errors.As(err, &slow):
		return fmt.Errorf("%s of %s in %s: %w", action, what, region, slow)
	case errors.As(err, &keys):
		return fmt.Errorf("%s of %s in %s: there are no credentials of AWS to ask with: give the task, the pod or "+
			"the instance a role, or the process AWS_PROFILE; what was tried: %w", action, what, region, keys.err)
	}
	var api smithy.APIError
	if errors.As(err, &api) {
		code := api.ErrorCode()
		if hint, refused := refusals[code]; refused {
			return fmt.Errorf("%s is refused for %s in %s (%s: %s)%s; correct the name, or allow the action in the "+
				"policy of the role, and kms:Decrypt where a key of your own encrypts the value", action, what, region,
				code, api.ErrorMessage(), hint)
		}
		switch code {
		case "ResourceNotFoundException", "ParameterNotFound", "ParameterVersionNotFound":
			return notThere(fmt.Sprintf("there is no %s in %s: create it, or correct the address or the region", what,
				region))
		case "InvalidKeyId", "DecryptionFailure", "InternalServiceError":
			return fmt.Errorf("%s of %s in %s: %s: %s; does the key exist, and may the role use it (kms:Decrypt)?",
				action, what, region, code, api.ErrorMessage())
		case "ThrottlingException", "TooManyRequestsException", "RequestLimitExceeded":
			return fmt.Errorf("%s of %s in %s is throttled, after all tries: too many requests in this account; "+
				"a longer interval helps, or a higher quota", action, what, region)
		}
		return fmt.Errorf("%s of %s in %s: %s: %s", action, what, region, code, api.ErrorMessage())
	}
	var send *smithyhttp.RequestSendError
	late := errors.Is(context.Cause(ctx), errLate)
	switch {
	case late:
		return fmt.Errorf("%s of %s: AWS in %s gave no answer within %v: check the network (a VPC endpoint or a NAT "+
			"gateway), the region and the credentials", action, what, region, s.settings.Timeout)
	case errors.As(err, &send):
		return fmt.Errorf("%s of %s: AWS in %s cannot be reached: check the network, the region and the endpoint: %w",
			action, what, region, send.Err)
	}
	return fmt.Errorf("%s of %s in %s: %w", action, what, region, err)
}

// of returns the text of a pointer of the SDK.
func of(p *string) string { return aws.ToString(p) }
