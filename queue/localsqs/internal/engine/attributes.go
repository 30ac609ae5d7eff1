package engine

import (
	"encoding/json"
	"reflect"
	"strconv"
	"strings"
)

// Names and ranges of the queue attributes (Amazon SQS API reference,
// SetQueueAttributes).
const (
	defaultVisibility = 30
	defaultMaxSize    = 1 << 20
	defaultRetention  = 4 * 24 * 3600

	MaxVisibility = 12 * 3600 // s
	MaxDelay      = 900       // s
	MaxWait       = 20        // s
	MaxBatchBytes = 1 << 20
)

// attributes are a queue's settings. raw holds every attribute that was set,
// as it was set; the fields are what the engine reads.
type attributes struct {
	raw map[string]string

	visibility, delay, retention, wait int64 // s
	maxSize                            int
	fifo, contentDedup                 bool
	dedupByGroup                       bool // as it is shown; the queue's own is of its creation
	redrive                            *redrive
	allow                              *redriveAllow
}

type redrive struct {
	Target Key
	ARN    string
	Max    int
}

type redriveAllow struct {
	Permission string // allowAll, denyAll, byQueue
	Sources    []string
}

type intRange struct{ min, max, def int64 }

var intAttributes = map[string]intRange{
	"VisibilityTimeout":             {0, MaxVisibility, defaultVisibility},
	"DelaySeconds":                  {0, MaxDelay, 0},
	"MaximumMessageSize":            {1024, 1 << 20, defaultMaxSize},
	"MessageRetentionPeriod":        {60, 1209600, defaultRetention},
	"ReceiveMessageWaitTimeSeconds": {0, MaxWait, 0},
	"KmsDataKeyReusePeriodSeconds":  {60, 86400, 300},
}

var oneOf = map[string][]string{
	"SqsManagedSseEnabled":      {"true", "false"},
	"FifoQueue":                 {"true"},
	"ContentBasedDeduplication": {"true", "false"},
	"DeduplicationScope":        {"queue", "messageGroup"},
	"FifoThroughputLimit":       {"perQueue", "perMessageGroupId"},
}

var fifoOnly = map[string]bool{
	"FifoQueue": true, "ContentBasedDeduplication": true, "DeduplicationScope": true, "FifoThroughputLimit": true,
}

var readOnly = map[string]bool{
	"QueueArn": true, "ApproximateNumberOfMessages": true, "ApproximateNumberOfMessagesNotVisible": true,
	"ApproximateNumberOfMessagesDelayed": true, "CreatedTimestamp": true, "LastModifiedTimestamp": true,
}

// parseAttributes checks raw, which must not be changed afterwards, and reads
// it. fifo says what the queue's name says.
func parseAttributes(raw map[string]string, fifo bool) (attributes, *Error) {
	a := attributes{raw: raw, fifo: fifo, maxSize: defaultMaxSize,
		visibility: defaultVisibility, retention: defaultRetention}
	for name, value := range raw {
		if err := a.parse(name, value); err != nil {
			return a, err
		}
	}
	if raw["FifoThroughputLimit"] == "perMessageGroupId" && raw["DeduplicationScope"] != "messageGroup" {
		return a, unsuitable("The perMessageGroupId value is allowed only when the value for DeduplicationScope " +
			"is messageGroup")
	}
	if raw["SqsManagedSseEnabled"] == "true" && raw["KmsMasterKeyId"] != "" {
		return a, invalidAttribute("You can use one type of server-side encryption (SSE) at one time. You can " +
			"either enable KMS SSE or SQS SSE.")
	}
	return a, nil
}

func (a *attributes) parse(name, value string) *Error {
	if fifoOnly[name] && !a.fifo {
		if name == "DeduplicationScope" || name == "FifoThroughputLimit" {
			return invalidAttribute("You can specify the %s only when FifoQueue is set to true.", name)
		}
		return unknownAttribute(name)
	}
	if r, ok := intAttributes[name]; ok {
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil || n < r.min || n > r.max || value[0] == '+' {
			return invalidAttributeValue(name)
		}
		switch name {
		case "VisibilityTimeout":
			a.visibility = n
		case "DelaySeconds":
			a.delay = n
		case "MaximumMessageSize":
			a.maxSize = int(n)
		case "MessageRetentionPeriod":
			a.retention = n
		case "ReceiveMessageWaitTimeSeconds":
			a.wait = n
		}
		return nil
	}
	if values, ok := oneOf[name]; ok {
		for _, v := range values {
			if value == v {
				a.contentDedup = a.contentDedup || name == "ContentBasedDeduplication" && v == "true"
				a.dedupByGroup = a.dedupByGroup || name == "DeduplicationScope" && v == "messageGroup"
				return nil
			}
		}
		return invalidAttributeValue(name)
	}
	switch name {
	case "Policy":
		if !json.Valid([]byte(value)) {
			return invalidAttributeValue(name)
		}
	case "KmsMasterKeyId":
	case "RedrivePolicy":
		r, err := parseRedrive(value)
		a.redrive = r
		return err
	case "RedriveAllowPolicy":
		r, err := parseRedriveAllow(value)
		a.allow = r
		return err
	default:
		return unknownAttribute(name)
	}
	return nil
}

func parseRedrive(value string) (*redrive, *Error) {
	invalid := func(reason string) (*redrive, *Error) {
		return nil, InvalidParameter(value, "RedrivePolicy", reason)
	}
	var p struct {
		Target *string         `json:"deadLetterTargetArn"`
		Max    json.RawMessage `json:"maxReceiveCount"`
	}
	if json.Unmarshal([]byte(value), &p) != nil {
		return invalid("Redrive policy is not a valid JSON map.")
	}
	if p.Target == nil {
		return invalid("Redrive policy does not contain mandatory attribute: deadLetterTargetArn.")
	}
	if p.Max == nil {
		return invalid("Redrive policy does not contain mandatory attribute: maxReceiveCount.")
	}
	n, err := strconv.Atoi(strings.Trim(string(p.Max), `"`)) // AWS takes a number or its string
	if err != nil || n < 1 || n > 1000 {
		return invalid("Invalid value for maxReceiveCount: " + string(p.Max) +
			", valid values are from 1 to 1000 both inclusive.")
	}
	key, ok := ParseARN(*p.Target)
	if !ok {
		return invalid("Invalid value for deadLetterTargetArn.")
	}
	return &redrive{Target: key, ARN: *p.Target, Max: n}, nil
}

func parseRedriveAllow(value string) (*redriveAllow, *Error) {
	var p struct {
		Permission string   `json:"redrivePermission"`
		Sources    []string `json:"sourceQueueArns"`
	}
	refuse := func(reason string) (*redriveAllow, *Error) {
		return nil, InvalidParameter(value, "RedriveAllowPolicy", reason)
	}
	if json.Unmarshal([]byte(value), &p) != nil {
		return refuse("Redrive allow policy is not a valid JSON map.")
	}
	switch p.Permission {
	case "allowAll", "denyAll":
		if len(p.Sources) > 0 {
			return refuse("sourceQueueArns can only be given with redrivePermission byQueue.")
		}
	case "byQueue":
		if len(p.Sources) < 1 || len(p.Sources) > 10 {
			return refuse("sourceQueueArns must name 1 to 10 queues.")
		}
	default:
		return refuse("redrivePermission must be one of allowAll, denyAll and byQueue.")
	}
	return &redriveAllow{Permission: p.Permission, Sources: p.Sources}, nil
}

// allows reports whether a queue of this ARN may name the holder of r as its
// dead-letter queue. Without a policy all may.
func (r *redriveAllow) allows(source string) bool {
	if r == nil || r.Permission == "allowAll" {
		return true
	}
	for _, s := range r.Sources {
		if r.Permission == "byQueue" && s == source {
			return true
		}
	}
	return false
}

// ParseARN reads arn:aws:sqs:region:account:name.
func ParseARN(arn string) (Key, bool) {
	p := strings.Split(arn, ":")
	if len(p) != 6 || p[0] != "arn" || p[2] != "sqs" || p[3] == "" || p[5] == "" {
		return Key{}, false
	}
	return Key{Region: p[3], Name: p[5]}, true
}

// withDefaults is every attribute that has a value: what was set, and the
// defaults of the rest.
func (a *attributes) withDefaults() map[string]string {
	all := make(map[string]string, 24)
	for name, r := range intAttributes {
		if name != "KmsDataKeyReusePeriodSeconds" {
			all[name] = strconv.FormatInt(r.def, 10)
		}
	}
	all["SqsManagedSseEnabled"] = "true"
	if a.raw["KmsMasterKeyId"] != "" {
		all["SqsManagedSseEnabled"] = "false"
		all["KmsDataKeyReusePeriodSeconds"] = "300"
	}
	if a.fifo {
		all["FifoQueue"] = "true"
		all["ContentBasedDeduplication"] = "false"
		all["DeduplicationScope"] = "queue"
		all["FifoThroughputLimit"] = "perQueue"
	}
	for name, value := range a.raw {
		all[name] = value
	}
	if a.redrive != nil {
		all["RedrivePolicy"] = a.redrive.String()
	}
	return all
}

// String is the policy as AWS gives it back, the number as a number.
func (r *redrive) String() string {
	b, _ := json.Marshal(struct { // a string and a number always marshal
		Target string `json:"deadLetterTargetArn"`
		Max    int    `json:"maxReceiveCount"`
	}{r.ARN, r.Max})
	return string(b)
}

// sameValue compares two values of an attribute, either as it was given or as
// it is shown: policies as JSON, whatever the order of keys and the spaces.
func sameValue(name, a, b string) bool {
	if a == b || !removable(name) || name == "KmsMasterKeyId" {
		return a == b
	}
	if name == "RedrivePolicy" {
		x, errX := parseRedrive(a)
		y, errY := parseRedrive(b)
		return errX == nil && errY == nil && *x == *y
	}
	var x, y any
	return json.Unmarshal([]byte(a), &x) == nil && json.Unmarshal([]byte(b), &y) == nil && reflect.DeepEqual(x, y)
}

// normal is a value as it is kept: AWS takes True for true, as Python writes it.
func normal(name, value string) string {
	if values := oneOf[name]; len(values) > 0 && values[0] == "true" {
		if lower := strings.ToLower(value); lower == "true" || lower == "false" {
			return lower
		}
	}
	return value
}

// merge is a.raw with changes over it. An empty value of a policy or key
// removes it, and of the two ways of encryption the one that is set ends the
// other.
func (a *attributes) merge(changes map[string]string) map[string]string {
	raw := make(map[string]string, len(a.raw)+len(changes))
	for name, value := range a.raw {
		raw[name] = value
	}
	for name, value := range changes {
		if value == "" && removable(name) {
			delete(raw, name)
			continue
		}
		raw[name] = normal(name, value)
	}
	kms, setKMS := changes["KmsMasterKeyId"]
	_, setSSE := changes["SqsManagedSseEnabled"]
	switch {
	case kms != "" && !setSSE:
		delete(raw, "SqsManagedSseEnabled")
	case setKMS && kms == "" && a.raw["KmsMasterKeyId"] != "": // the key ends, and nothing takes its place
		delete(raw, "KmsDataKeyReusePeriodSeconds")
		if !setSSE {
			raw["SqsManagedSseEnabled"] = "false"
		}
	case setSSE && !setKMS && raw["SqsManagedSseEnabled"] == "true":
		delete(raw, "KmsMasterKeyId")
		delete(raw, "KmsDataKeyReusePeriodSeconds")
	}
	return raw
}

func removable(name string) bool {
	switch name {
	case "Policy", "RedrivePolicy", "RedriveAllowPolicy", "KmsMasterKeyId":
		return true
	}
	return false
}
