package poller

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

func TestRefusedRightsAreTriedEverMoreRarely(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	end := now.Add(24 * time.Hour)
	var r refusals
	tries, longest, last := 0, time.Duration(0), now
	for now.Before(end) {
		if f := r.barred(ActionSend, "q", now); f != nil {
			now = f.Next
			continue
		}
		longest, last = max(longest, now.Sub(last)), now
		tries++
		if _, news := r.refused(ActionSend, "q", now, errors.New("no")); !news {
			t.Fatalf("the try at %v, which was due, is no news", now)
		}
		for range 5 { // others that were under way
			if _, news := r.refused(ActionSend, "q", now, errors.New("no")); news {
				t.Fatal("a refusal of a request that was under way is news")
			}
		}
	}
	if tries < 96 || tries > 120 || longest != refusalMost {
		t.Errorf("%d tries in a day, longest pause %v; want about 100 and %v", tries, longest, refusalMost)
	}
}

func TestRefusalsAreForgotten(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	var r refusals
	r.refused(ActionSend, "a", now, errors.New("no"))
	r.refused(ActionDelete, "a", now, errors.New("no"))
	if r.barred(ActionSend, "b", now) != nil || r.barred(ActionReceive, "a", now) != nil {
		t.Error("a refusal bars another queue, or another action")
	}
	if !r.worked(ActionSend, "a") || r.worked(ActionSend, "a") || r.barred(ActionSend, "a", now) != nil {
		t.Error("an action that works again is still refused")
	}
	if got := r.list(now.Add(refusalLeast + refusalMost)); len(got) != 1 || got[0].Action != ActionDelete {
		t.Errorf("listed %v, want the refused delete", got)
	}
	if got := r.list(now.Add(refusalMost + 2*time.Second)); len(got) != 0 {
		t.Errorf("nothing has asked for it since: %v", got)
	}
}

// TestARequestThatWorksEndsTheRefusalsOfExpiredCredentials: a dead letter stayed hidden
// for 41 s, though other requests had worked since.
func TestARequestThatWorksEndsTheRefusalsOfExpiredCredentials(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	expired, denied := &smithy.GenericAPIError{Code: "ExpiredToken"}, &smithy.GenericAPIError{Code: "AccessDenied"}
	var r refusals
	r.refused(ActionSend, "a", now, expired)
	r.refused(ActionDelete, "a", now, denied)
	r.refused(ActionHide, "a", now, denied)
	r.refused(ActionHide, "a", now, expired) // refused before, and for its credentials now
	r.refused(ActionReceive, "a", now, expired)
	r.refused(ActionReceive, "a", now, denied) // the other way round
	r.renewed()
	for action, want := range map[string]bool{ActionSend: false, ActionDelete: true, ActionHide: false, ActionReceive: true} {
		if got := r.barred(action, "a", now) != nil; got != want {
			t.Errorf("%s is barred: %v, want %v", action, got, want)
		}
	}
	for range 40 { // of a long time
		f, _ := r.refused(ActionSend, "a", now, expired)
		if wait := f.Next.Sub(now); wait > credentialsMost {
			t.Fatalf("tried again after %v", wait)
		}
		now = f.Next
	}
}

func TestARefusalHasItsCountAndTheLastError(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	var r refusals
	for i, c := range []struct {
		after time.Duration
		err   string
		want  string
	}{
		{0, "first", "first"},
		{refusalLeast - 1, "of a request that was under way", "first"},
		{refusalLeast, "second", "second"},
	} {
		f, _ := r.refused(ActionSend, "q", now.Add(c.after), errors.New(c.err))
		if f.Times != i+1 || f.Error != c.want || !f.Since.Equal(now) {
			t.Errorf("after %v: %+v, want %d times and %q", c.after, f, i+1, c.want)
		}
	}
}

func TestRefusedErrorNamesTheRightAndTheReason(t *testing.T) {
	e := &RefusedError{Action: ActionSend, Queue: "https://sqs/1/tasks"}
	text := "poller: the queue service refuses sqs:SendMessage on tasks: allow it in the policy of this service's role"
	if e.Error() != text {
		t.Errorf("a try that was not made: %s", e)
	}
	if e.Err = errors.New("no"); e.Error() != text+": no" || !errors.Is(e, e.Err) {
		t.Errorf("a try that was refused: %s", e)
	}
	e.Expired = true
	if got := e.Error(); !strings.Contains(got, "the credentials for their age") || !strings.HasSuffix(got, ": no") {
		t.Errorf("credentials that had expired: %s", got)
	}
	e.Expired, e.Away = false, true
	if want := "poller: sqs:SendMessage on tasks has failed for long: see that the queue is there and works: no"; e.Error() != want {
		t.Errorf("a queue that is away: %s", e)
	}
}

func TestIsDenied(t *testing.T) {
	status := func(code int, err error) error {
		return &smithyhttp.ResponseError{Response: &smithyhttp.Response{Response: &http.Response{StatusCode: code}}, Err: err}
	}
	for _, c := range []struct {
		name string
		err  error
		want bool
	}{
		{"nothing", nil, false},
		{"a right", status(403, &smithy.GenericAPIError{Code: "AccessDenied"}), true},
		{"a right, as 400", status(400, &smithy.GenericAPIError{Code: "AccessDeniedException"}), true},
		{"a key", status(400, &smithy.GenericAPIError{Code: "KMS.AccessDeniedException"}), true},
		{"a key that is disabled", status(400, &smithy.GenericAPIError{Code: "KmsDisabled"}), true},
		{"a key that is gone", status(400, &smithy.GenericAPIError{Code: "KmsNotFound"}), true},
		{"a key's service that is not switched on", status(400, &smithy.GenericAPIError{Code: "KmsOptInRequired"}), true},
		{"an entry", &BatchError{Code: "AccessDenied", SenderFault: true}, true},
		{"an entry, for another reason", &BatchError{Code: "InvalidParameterValue", SenderFault: true}, false},
		{"credentials", status(403, &smithy.GenericAPIError{Code: "InvalidClientTokenId"}), true},
		{"a throttle that says 403", status(403, &smithy.GenericAPIError{Code: "RequestThrottled"}), false},
		{"an outage", status(503, &smithy.GenericAPIError{Code: "ServiceUnavailable"}), false},
		{"the network", errors.New("connection reset"), false},
	} {
		if got := isDenied(c.err); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

// TestAQueueThatFailsForLongIsAway: one failure now and then does not make it so.
func TestAQueueThatFailsForLongIsAway(t *testing.T) {
	start := time.Unix(1e9, 0)
	var f failing
	for _, c := range []struct {
		at   time.Duration
		away bool
	}{{0, false}, {29 * time.Second, false}, {30 * time.Second, true}, {90 * time.Second, true}, {151 * time.Second, false}, {180 * time.Second, false}, {181 * time.Second, true}} {
		if got := f.again(start.Add(c.at)); got != c.away {
			t.Errorf("after %v: away is %v, want %v", c.at, got, c.away)
		}
	}
}
