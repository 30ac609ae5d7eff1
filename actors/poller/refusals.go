package poller

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// The rights that a pool needs, by their names in a policy of IAM.
const (
	ActionReceive = "sqs:ReceiveMessage"
	ActionDelete  = "sqs:DeleteMessage"
	ActionHide    = "sqs:ChangeMessageVisibility" // extends a lease, gives a message back
	ActionSend    = "sqs:SendMessage"
)

// Refusal is a right that the queue service refuses, or a queue that cannot be
// sent to for another reason. It is forgotten when the action works, or after a
// quarter of an hour in which nothing asked for it.
type Refusal struct {
	Action string    `json:"action"` // for example sqs:SendMessage
	Queue  string    `json:"queue"`  // name or URL
	Since  time.Time `json:"since"`
	Next   time.Time `json:"next"` // no try before
	Times  int       `json:"times"`
	Error  string    `json:"error"`

	// Expired: the credentials are refused for their age, or for the clock that signed
	// with them. Any request that works ends it.
	Expired bool `json:"expired,omitempty"`

	// Away: no right is missing; the queue is not there, or has failed for half a minute.
	Away bool `json:"away,omitempty"`
}

// RefusedError answers a [Settle] that needs a right which is refused. The
// message stays on the queue, hidden until the right is tried again.
type RefusedError struct {
	Action  string
	Queue   string
	Away    bool  // as Refusal.Away
	Expired bool  // as Refusal.Expired
	Err     error // what the service said last; nil for a try that was not made
}

// because returns f as an error; err is what the service said, or nil.
func (f *Refusal) because(err error) *RefusedError {
	return &RefusedError{Action: f.Action, Queue: f.Queue, Away: f.Away, Expired: f.Expired, Err: err}
}

func (e *RefusedError) Error() string {
	format := "poller: the queue service refuses %s on %s: allow it in the policy of this service's role"
	switch {
	case e.Expired:
		format = "poller: the queue service refuses the credentials for their age, for %s on %s: see that they are " +
			"renewed, and that the clock of this machine is right"
	case e.Away:
		format = "poller: %s on %s has failed for long: see that the queue is there and works"
	}
	text := fmt.Sprintf(format, e.Action, queueName(e.Queue))
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

func (e *RefusedError) Unwrap() error { return e.Err }

// isDenied reports whether the service refuses the right, or the credentials,
// for a request: trying it again helps only after that has been changed.
func isDenied(err error) bool {
	var response *smithyhttp.ResponseError
	if errors.As(err, &response) && response.HTTPStatusCode() == http.StatusForbidden {
		return !isThrottle(err)
	}
	code := ""
	var api smithy.APIError
	var entry *BatchError
	switch {
	case errors.As(err, &entry):
		code = entry.Code
	case errors.As(err, &api):
		code = api.ErrorCode()
	}
	return strings.Contains(code, "AccessDenied") ||
		code == "KmsDisabled" || code == "KmsNotFound" || code == "KmsOptInRequired"
}

// isExpired reports whether the service refuses the credentials for their age or the
// clock that signed with them: they are renewed, and say nothing of a right.
func isExpired(err error) bool {
	var api smithy.APIError
	if !errors.As(err, &api) {
		return false
	}
	switch api.ErrorCode() {
	case "ExpiredToken", "ExpiredTokenException", "RequestExpired", "RequestTimeTooSkewed":
		return true
	}
	return false
}

// A refused right is tried again after a second, and then ever more rarely.
const (
	refusalLeast = time.Second
	refusalMost  = 15 * time.Minute
	// credentialsMost is the longest pause of a try with credentials that had expired:
	// they are renewed each hour or so, and by the SDK before each request.
	credentialsMost = 5 * time.Second
)

// refusals are the rights that are refused now. It is pure.
type refusals struct{ all []*Refusal }

func (r *refusals) find(action, queue string) int {
	return slices.IndexFunc(r.all, func(f *Refusal) bool { return f.Action == action && f.Queue == queue })
}

// refused notes a refusal and returns it. One of expired credentials is tried again
// after at most credentialsMost. news reports whether it is the first,
// or one of a try that was due: those that were under way with it say nothing
// new.
func (r *refusals) refused(action, queue string, now time.Time, err error) (f *Refusal, news bool) {
	i := r.find(action, queue)
	if i >= 0 {
		r.all[i].Expired = isExpired(err)
	}
	if i < 0 {
		next := now.Add(refusalLeast)
		f = &Refusal{Action: action, Queue: queue, Since: now, Next: next, Times: 1, Error: err.Error(),
			Expired: isExpired(err)}
		r.all = append(r.all, f)
		return f, true
	}
	f = r.all[i]
	f.Times++
	if now.Before(f.Next) {
		return f, false
	}
	f.Error = err.Error()
	most := refusalMost
	if isExpired(err) {
		most = credentialsMost
	}
	f.Next = now.Add(min(2*max(f.Next.Sub(f.Since), refusalLeast), most))
	return f, true
}

// sendsLost is for how long sends to a queue may fail until it counts as away, and
// sendsApart how far apart two failures are of different causes.
const (
	sendsLost  = 30 * time.Second
	sendsApart = time.Minute
)

// failing is since when sends to a queue fail for another reason than a right.
type failing struct{ since, last time.Time }

// again notes a failure, and reports whether the queue is away.
func (f *failing) again(now time.Time) bool {
	if f.since.IsZero() || now.Sub(f.last) > sendsApart {
		f.since = now
	}
	f.last = now
	return now.Sub(f.since) >= sendsLost
}

// worked forgets a refusal, and reports whether there was one.
func (r *refusals) worked(action, queue string) bool {
	i := r.find(action, queue)
	if i < 0 {
		return false
	}
	r.all = slices.Delete(r.all, i, i+1)
	return true
}

// renewed forgets the refusals of credentials that had expired: a request has worked
// with others.
func (r *refusals) renewed() {
	r.all = slices.DeleteFunc(r.all, func(f *Refusal) bool { return f.Expired })
}

// barred returns the refusal that bars an action now, or nil.
func (r *refusals) barred(action, queue string, now time.Time) *Refusal {
	if i := r.find(action, queue); i >= 0 && now.Before(r.all[i].Next) {
		return r.all[i]
	}
	return nil
}

// list forgets what nothing has asked for in a while, and returns the others.
func (r *refusals) list(now time.Time) []Refusal {
	r.all = slices.DeleteFunc(r.all, func(f *Refusal) bool { return now.Sub(f.Next) > refusalMost })
	var list []Refusal
	for _, f := range r.all {
		list = append(list, *f)
	}
	return list
}
