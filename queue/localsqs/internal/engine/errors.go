package engine

import (
	"cmp"
	"fmt"
)

// Error is a refusal as the protocol states it.
type Error struct {
	Shape   string // the shape's name, in __type
	Code    string // the code of the query protocol, in x-amzn-query-error
	Message string
	Status  int // HTTP status

	entry *Error // the refusal in a batch, where it is in other words
}

// InBatch is e as the refusal of a batch or of one entry of it.
func (e *Error) InBatch() *Error {
	if e.entry != nil {
		return e.entry
	}
	return e
}

func (e *Error) Error() string { return e.Code + ": " + e.Message }

// Sender reports whether the fault is the caller's.
func (e *Error) Sender() bool { return e.Status < 500 }

const legacy = "AWS.SimpleQueueService."

// shapes are the shapes of refusals that are not named like their codes (AWS's
// common errors).
var shapes = map[string]string{
	"InvalidParameterValue": "InvalidParameterValueException",
	"MissingParameter":      "MissingRequiredParameterException",
}

func generic(code, format string, args ...any) *Error {
	return &Error{Shape: cmp.Or(shapes[code], code), Code: code, Message: fmt.Sprintf(format, args...), Status: 400}
}

func prefixed(shape, format string, args ...any) *Error {
	return &Error{Shape: shape, Code: legacy + shape, Message: fmt.Sprintf(format, args...), Status: 400}
}

// The refusals of the service. The words are AWS's where they are known.

// InvalidParameterValue is the generic refusal of a parameter.
func InvalidParameterValue(format string, args ...any) *Error {
	return generic("InvalidParameterValue", format, args...)
}

// InvalidParameter refuses the value of a named parameter.
func InvalidParameter(value any, name, reason string) *Error {
	return generic("InvalidParameterValue", "Value %v for parameter %s is invalid. Reason: %s", value, name, reason)
}

// MalformedInput refuses a parameter of the query protocol with parts that it has
// no place for.
func MalformedInput() *Error {
	return generic("MalformedInput", "Start of list found where not expected")
}

// MissingParameter names a parameter that must be there.
func MissingParameter(name string) *Error {
	return generic("MissingParameter", "The request must contain the parameter %s.", name)
}

// missingGroup is another code for a batch than for one message.
func missingGroup() *Error {
	e := MissingParameter("MessageGroupId")
	e.entry = InvalidParameterValue("%s", e.Message)
	return e
}

// MissingEntryParameter names a parameter that the nth entry of a batch (from 1)
// must have.
func MissingEntryParameter(entry string, n int, name string) *Error {
	return MissingParameter(fmt.Sprintf("%s.%d.%s", entry, n, name))
}

// NoSuchQueue says that the queue does not exist.
func NoSuchQueue() *Error {
	return &Error{Shape: "QueueDoesNotExist", Code: legacy + "NonExistentQueue",
		Message: "The specified queue does not exist.", Status: 400}
}

func queueExists(attribute string) *Error {
	return &Error{Shape: "QueueNameExists", Code: "QueueAlreadyExists", Status: 400,
		Message: "A queue already exists with the same name and a different value for attribute " + attribute}
}

func queueDeletedRecently() *Error {
	return prefixed("QueueDeletedRecently",
		"You must wait 60 seconds after deleting a queue before you can create another with the same name.")
}

func purgeInProgress(name string) *Error {
	e := prefixed("PurgeQueueInProgress", "Only one PurgeQueue operation on %s is allowed every 60 seconds.", name)
	e.Status = 403
	return e
}

func unknownAttribute(name string) *Error {
	return generic("InvalidAttributeName", "Unknown Attribute %s.", name)
}

func invalidAttributeValue(name string) *Error {
	return generic("InvalidAttributeValue", "Invalid value for the parameter %s.", name)
}

func invalidAttribute(format string, args ...any) *Error {
	return generic("InvalidAttributeName", format, args...)
}

func unsuitable(format string, args ...any) *Error {
	return generic("InvalidAttributeValue", format, args...)
}

func overLimit(format string, args ...any) *Error {
	e := generic("OverLimit", format, args...)
	e.Status = 403
	return e
}

func resourceNotFound(format string, args ...any) *Error {
	e := generic("ResourceNotFoundException", format, args...)
	e.Status = 404
	return e
}

// tooLong refuses a message of more than limit bytes.
func tooLong(limit int) *Error {
	const reason = "Reason: Message must be shorter than %d bytes."
	e := InvalidParameterValue("One or more parameters are invalid. "+reason, limit)
	e.entry = InvalidParameterValue("One or more parameters cannot be validated. "+reason, limit)
	return e
}

func invalidReceipt(handle string) *Error {
	return generic("ReceiptHandleIsInvalid", "The input receipt handle \"%s\" is not a valid receipt handle.", handle)
}

func expiredReceipt(handle string) *Error {
	return InvalidParameter(handle, "ReceiptHandle", "The receipt handle has expired.")
}

const goneText = "Message does not exist or is not available for visibility timeout change."

func goneReceipt(handle string) *Error {
	e := InvalidParameter(handle, "ReceiptHandle", goneText)
	e.entry = &Error{Shape: "ReceiptHandleIsInvalid", Code: "ReceiptHandleIsInvalid", Message: goneText, Status: 400}
	return e
}

func notInflight() *Error {
	return prefixed("MessageNotInflight", "The message referred to isn't in flight.")
}

// UnsupportedOperation refuses an operation or a use of one.
func UnsupportedOperation(format string, args ...any) *Error {
	return prefixed("UnsupportedOperation", format, args...)
}

// TooManyEntries refuses a batch of more than 10.
func TooManyEntries(n int) *Error {
	return prefixed("TooManyEntriesInBatchRequest",
		"Maximum number of entries per request are 10. You have sent %d.", n)
}

// EmptyBatch refuses a batch without entries; entry names their type.
func EmptyBatch(entry string) *Error {
	return prefixed("EmptyBatchRequest", "There should be at least one %s in the request.", entry)
}

// RepeatedID refuses a batch in which an id occurs twice.
func RepeatedID(id string) *Error {
	return prefixed("BatchEntryIdsNotDistinct", "Id %s repeated.", id)
}

// InvalidBatchID refuses a batch entry's id.
func InvalidBatchID() *Error {
	return prefixed("InvalidBatchEntryId",
		"A batch entry id can only contain alphanumeric characters, hyphens and underscores. It can be at most 80 "+
			"letters long.")
}

// BatchTooLong refuses a batch with messages that are too long together.
func BatchTooLong(limit, size int) *Error {
	return prefixed("BatchRequestTooLong", "Batch requests cannot be longer than %d bytes. You have sent %d bytes.",
		limit, size)
}

const invalidCharacters = "Invalid characters found. Valid unicode characters are #x9 | #xA | #xD | #x20 to " +
	"#xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF"

// InvalidContents refuses a body with characters that XML 1.0 has no place for.
func InvalidContents() *Error { return generic("InvalidMessageContents", invalidCharacters) }

// InvalidAttributeContents refuses in an attribute what InvalidContents refuses
// in a body.
func InvalidAttributeContents() *Error { return InvalidParameterValue(invalidCharacters) }
