package dispatcher

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Limits bound what all processes of a pool do together.
type Limits struct {
	Tenant TenantLimits `key:"tenant"`
}

// TenantLimits bound what is done for one tenant (task.Tenant), in all processes of a FIFO
// pool together. Every process of the pool should have the same.
type TenantLimits struct {
	Running int  `key:"running" rule:"min=0,max=1000" doc:"executions of one tenant at once in all processes together, on a FIFO pool; default 0: one, in order"`
	Rate    Rate `key:"rate" doc:"starts of one tenant in all processes together, as in 10/s or 30/m; needs running; default: no limit"`
}

// maxSlot is the longest time between two starts of a message group by a rate. A message
// that is done stays on the queue until the slot of its start is over, and a crash in that
// time runs it again.
const maxSlot = 5 * time.Minute

// Check returns what is wrong with the limits of a pool that stand at where in the settings.
func (l Limits) Check(where, pool string) error {
	var errs []error
	where += ".limits.tenant"
	n, rate := l.Tenant.Running, l.Tenant.Rate
	switch {
	case n < 0 || n > 1000:
		errs = append(errs, fmt.Errorf("%s.running is %d: must be 0 (one at a time, in order) to 1000", where, n))
	case n > 0 && pool != "" && !isFIFO(pool):
		errs = append(errs, fmt.Errorf("%s.running is %d, and the pool %q is a standard queue, which cannot "+
			"bound what runs of a tenant: name a FIFO pool, as in %s.fifo, or leave the limit out (task.Tenant "+
			"alone makes a standard queue fair)", where, n, pool, pool))
	}
	switch {
	case rate.Count == 0 && rate.Per == 0:
	case rate.Count < 1 || rate.Per < time.Second:
		errs = append(errs, fmt.Errorf("%s.rate is %v: must be as in 10/s, 30/m or 100/10s", where, rate))
	case n == 0:
		errs = append(errs, fmt.Errorf("%s.rate is %v without running: set that too, to the executions of a tenant "+
			"that may run at once", where, rate))
	case n > 0 && rate.slot(n) > maxSlot:
		errs = append(errs, fmt.Errorf("%s.rate is %v with running %d: each of so many may start once in %v, at "+
			"most %v is possible: lower running, or take a schedule", where, rate, n, rate.slot(n), maxSlot))
	}
	return errors.Join(errs...)
}

// Rate is so many of something in a time. The zero value is no limit.
type Rate struct {
	Count int
	Per   time.Duration
}

// slot is the time between two starts of each of n message groups with the rate in sum.
func (r Rate) slot(n int) time.Duration {
	if r.Count == 0 {
		return 0
	}
	return time.Duration(float64(r.Per) * float64(n) / float64(r.Count))
}

func (r Rate) String() string {
	switch r {
	case Rate{}:
		return "no limit"
	case Rate{r.Count, time.Second}:
		return fmt.Sprintf("%d/s", r.Count)
	case Rate{r.Count, time.Minute}:
		return fmt.Sprintf("%d/m", r.Count)
	}
	return fmt.Sprintf("%d/%v", r.Count, r.Per)
}

// MarshalText implements encoding.TextMarshaler.
func (r Rate) MarshalText() ([]byte, error) {
	if r == (Rate{}) {
		return nil, nil
	}
	return []byte(r.String()), nil
}

// UnmarshalText reads 10/s, 30/m, 100/10s; an empty text is no limit.
func (r *Rate) UnmarshalText(text []byte) error {
	if *r = (Rate{}); len(text) == 0 {
		return nil
	}
	count, per, ok := strings.Cut(string(text), "/")
	n, err := strconv.Atoi(count)
	if err != nil || n < 1 || !ok {
		return errors.New("a rate is a whole number and a time, as in 10/s, 30/m or 100/10s")
	}
	if per == "s" || per == "m" {
		per = "1" + per
	}
	d, err := time.ParseDuration(per)
	if err != nil || d < time.Second || d > 24*time.Hour {
		return errors.New("the time of a rate is 1 s to 24 h, as in 10/s, 30/m or 100/10s")
	}
	r.Count, r.Per = n, d
	return nil
}
