package schedules

import (
	"errors"
	"net/http"
	"sync"
	"time"

	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/sambatech/chassis/internal/skew"
)

// clock is the time of the queue service, by the Date of its answers.
type clock struct {
	own *skew.Clock

	mu     sync.Mutex // guards what follows
	bounds skew.Bounds
	slept  time.Duration // of own, when the service was measured last
}

// local returns the time of this process.
func (c *clock) local() time.Time { return c.own.Now() }

// now returns the service's time. Our own stands where the answers allow that it is right.
func (c *clock) now() time.Time { return c.local().Add(c.ahead()) }

func (c *clock) ahead() time.Duration {
	d, _ := c.measured()
	return d
}

// measured returns by how much the service is ahead, and whether an answer has shown it.
func (c *clock) measured() (ahead time.Duration, known bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.bounds.Likely(), c.bounds.Known()
}

// sure reports whether the wall clock has not leapt ahead since the last answer. After a
// leap the machine slept, or its clock was set: an answer of the service says which.
func (c *clock) sure() bool {
	c.local()
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.slept == c.own.Slept()
}

// answered takes note of the Date of an answer to a request that was sent at begun. A
// refusal has one, too. answer is the metadata of an answer without an error.
func (c *clock) answered(answer middleware.Metadata, err error, begun time.Time) {
	ended := c.local()
	date, _ := awsmiddleware.GetServerTime(answer)
	var refusal *smithyhttp.ResponseError
	if errors.As(err, &refusal) && refusal.Response != nil {
		date, _ = http.ParseTime(refusal.Response.Header.Get("Date"))
	}
	if date.IsZero() {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	slept := c.own.Slept()
	if slept != c.slept { // what was measured before is of no use
		c.bounds = skew.Bounds{}
	}
	c.bounds, c.slept = c.bounds.Seen(date, time.Second, begun, ended), slept
}
