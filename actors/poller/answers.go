package poller

import (
	"errors"
	"fmt"
	"runtime/debug"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// BatchError says why SQS refused one entry of a batch request.
type BatchError struct {
	Code        string // for example InternalError or ReceiptHandleIsInvalid
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

// throttleCodes are those that the SDK does not know.
var throttleCodes = map[string]bool{"OverLimit": true, "KmsThrottled": true, "KMS.ThrottlingException": true}

// isThrottle reports whether the service asks for fewer requests.
func isThrottle(err error) bool {
	var api smithy.APIError
	return throttles.IsErrorThrottle(err).Bool() || errors.As(err, &api) && throttleCodes[api.ErrorCode()]
}

// badHandles are the service's codes for a receipt handle that is worth nothing
// any more: the message is gone, or another consumer has it.
var badHandles = map[string]bool{
	"ReceiptHandleIsInvalid":                    true,
	"MessageNotInflight":                        true,
	"InvalidParameterValue":                     true,
	"InvalidIdFormat":                           true,
	"AWS.SimpleQueueService.MessageNotInflight": true,
}

// isBadHandle reports whether a request, or an entry of one, was refused because
// of a receipt handle. SQS refuses the entry; some services, and SQS for some
// handles, refuse the whole batch for one of them.
func isBadHandle(err error) bool {
	var api smithy.APIError
	var entry *BatchError
	switch {
	case errors.As(err, &entry):
		return entry.SenderFault
	case errors.As(err, &api):
		return badHandles[api.ErrorCode()]
	}
	return false
}

// safely turns a panic of f into an error: no answer of a service may end the
// process.
func safely(f func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("poller: panic in a request: %v\n%s", r, debug.Stack())
		}
	}()
	return f()
}

// isRefusal reports whether the service will never take the request as it is: its
// answer is a 4xx, and no throttle.
func isRefusal(err error) bool {
	var response *smithyhttp.ResponseError
	return errors.As(err, &response) && response.HTTPStatusCode() >= 400 && response.HTTPStatusCode() < 500 &&
		response.HTTPStatusCode() != 408 && response.HTTPStatusCode() != 429 && !isThrottle(err)
}
