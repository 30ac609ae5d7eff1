package poller

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// BatchError is why SQS refused one entry of a batch request.
type BatchError struct {
	Code        string // such as InternalError or ReceiptHandleIsInvalid
	Message     string
	SenderFault bool // trying again cannot help
}

func (e *BatchError) Error() string {
	if e.Message == "" {
		return "the service refused the entry: " + e.Code
	}
	return fmt.Sprintf("the service refused the entry: %s: %s", e.Code, e.Message)
}

func entryError(f types.BatchResultErrorEntry) *BatchError {
	return &BatchError{Code: deref(f.Code), Message: deref(f.Message), SenderFault: f.SenderFault}
}

// entryIndex reads back the id that an entry was given: its index.
func entryIndex(id *string, n int) (int, bool) {
	i, err := strconv.Atoi(deref(id))
	return i, err == nil && i >= 0 && i < n
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

var throttles = retry.IsErrorThrottles(retry.DefaultThrottles)

// isThrottle tells whether the service asks for fewer requests.
func isThrottle(err error) bool {
	var api smithy.APIError
	return throttles.IsErrorThrottle(err).Bool() ||
		errors.As(err, &api) && (api.ErrorCode() == "OverLimit" || api.ErrorCode() == "KmsThrottled" || api.ErrorCode() == "KMS.ThrottlingException")
}

// isRefusal tells whether the service answered, and that the request as it is
// will never be taken: a 4xx that is no throttle.
func isRefusal(err error) bool {
	var response *smithyhttp.ResponseError
	return errors.As(err, &response) && response.HTTPStatusCode() >= 400 && response.HTTPStatusCode() < 500 &&
		response.HTTPStatusCode() != 408 && response.HTTPStatusCode() != 429 && !isThrottle(err)
}
