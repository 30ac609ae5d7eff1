package schedules

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A clock that is set while the process runs, in either direction, makes no tick early, late
// or lost (apscheduler#1095, robfig/cron#553): time goes on by the monotonic clock, and after a
// leap ahead, which may have been a sleep, the queue is asked before anything is sent.
func TestAClockThatIsSetWhileTheProcessRuns(t *testing.T) {
	for _, leap := range []time.Duration{-time.Hour, -30 * time.Second, 30 * time.Second, 9 * time.Minute, 24 * time.Hour} {
		bubble(t, func(t *testing.T) {
			f := newFleet(t)
			until("10:05:00")
			time.Sleep(300 * time.Millisecond)
			a := f.start("a", job(t, "x", "*/10 * * * *"))
			until("10:09:00")
			a.leapt.Store(int64(leap))
			until("10:09:59")
			if got := f.text(); got != "" {
				t.Errorf("%v: a second early: %s", leap, got)
			}
			until("10:10:01")
			if got := f.text(); got != "x@10:10:00" {
				t.Errorf("%v: a second late: %q", leap, got)
			}
			until("10:20:01")
			if got := f.text(); got != "x@10:20:00" {
				t.Errorf("%v: ten minutes later: %q", leap, got)
			}
			a.kill()
		})
	}
}

// A refusal has a Date, as any answer, and the answer to a send has one: without the rights
// on tags a wrong clock makes no tick late either.
func TestTheQueuesClockCountsWithoutTheRightsOnTags(t *testing.T) {
	for _, skew := range []time.Duration{-30 * time.Second, 30 * time.Second, time.Hour} {
		bubble(t, func(t *testing.T) {
			f := newFleet(t)
			until("10:05:00")
			time.Sleep(300 * time.Millisecond)
			a := f.startSkewed("a", skew)
			a.instead(refuseTags)
			f.system.Root.Send(a.pid, &Set{Jobs: []Job{job(t, "x", "*/10 * * * *")}})
			until("10:09:59")
			if got := f.text(); got != "" {
				t.Errorf("%v: a second early: %s", skew, got)
			}
			until("10:10:01")
			if got := f.text(); got != "x@10:10:00" {
				t.Errorf("%v: a second late: %q", skew, got)
			}
			a.kill()
		})
	}
}

// The first question of a process with a wrong clock gets no answer, the next ones a refusal, a
// throttle or the register: it sends nothing from before its start of a schedule that is new, and
// what fell between two processes of one that is known.
func TestAWrongClockThatIsMeasuredAfterTheFirstDecision(t *testing.T) {
	for _, skewed := range []time.Duration{-150 * time.Second, -30 * time.Second, 30 * time.Second, 150 * time.Second} {
		for _, known := range []bool{false, true} {
			bubble(t, func(t *testing.T) {
				f := newFleet(t)
				j := job(t, "x", "@every 10s")
				want := "x@10:05:10 x@10:05:20"
				if known {
					want = "x@10:04:20 x@10:04:30 x@10:04:40 x@10:04:50 x@10:05:00 " + want
					until("09:05:05")
					a := f.start("a", j)
					synctest.Wait()
					a.kill()
				}
				until("10:05:05")
				began := time.Now()
				b := f.launch("b", &process{f: f, requests: map[string]int{}, status: func(r *http.Request) (*http.Response, error) {
					switch since := time.Since(began); {
					case since < 500*time.Millisecond:
						return nil, errors.New("no route to host")
					case since < 10*time.Second:
						return refuseTags(r)
					}
					return nil, nil
				}}, skewed, j)
				until("10:05:21")
				if got := f.text(); got != want {
					t.Errorf("%v, known %v: came %q, want %q", skewed, known, got, want)
				}
				b.kill()
			})
		}
	}
}

// refuseTags answers as AWS does where a role has no rights on tags.
func refuseTags(r *http.Request) (*http.Response, error) {
	if !strings.Contains(r.Header.Get("X-Amz-Target"), "Tag") {
		return nil, nil
	}
	return &http.Response{StatusCode: 400, Request: r,
		Header: http.Header{"X-Amzn-Query-Error": {"AccessDeniedException;Sender"}, "Date": {time.Now().UTC().Format(http.TimeFormat)}},
		Body:   io.NopCloser(strings.NewReader(`{"__type":"com.amazonaws.sqs#AccessDeniedException","message":"no"}`))}, nil
}
