package poller

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func TestLeaseEnds(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	const notice = 5 * time.Minute
	for _, c := range []struct {
		name            string
		retention, age  time.Duration // of the queue; of the message when it came
		limit, noticeAt time.Duration // after the receive
	}{
		{"the retention is not known", 0, 30 * 24 * time.Hour, MaxLease - limitSlack, MaxLease - limitSlack - notice},
		{"a new message", 96 * time.Hour, time.Hour, MaxLease - limitSlack, MaxLease - limitSlack - notice},
		{"an old message", 96 * time.Hour, 94 * time.Hour, 2*time.Hour - retentionMargin, 2*time.Hour - retentionMargin - notice},
		{"a short retention", time.Minute, 0, time.Minute * 7 / 8, time.Minute * 7 / 8 * 3 / 4},
		{"older than its queue keeps it", time.Hour, 2 * time.Hour, -time.Hour - 7*time.Minute - 30*time.Second, -time.Hour - 7*time.Minute - 30*time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newLedger(notice)
			l := b.open("h", now, now.Add(-c.age), 2*time.Minute)
			b.keep(c.retention) // read after the receive: it counts for what is held
			if got := l.limit().Sub(now); got != c.limit {
				t.Errorf("the lease ends at the latest after %v, want %v", got, c.limit)
			}
			if got := l.noticeAt(notice).Sub(now); got != c.noticeAt {
				t.Errorf("its end is announced after %v, want %v", got, c.noticeAt)
			}
			if again := b.open("h", now, now.Add(-c.age), 2*time.Minute); !again.limit().Equal(l.limit()) {
				t.Errorf("a lease opened later ends at %v, want %v", again.limit(), l.limit())
			}
			if l.extensible() && l.extension(now.Add(time.Minute)) > c.limit-time.Minute {
				t.Error("an extension reaches beyond the end")
			}
		})
	}
}

func TestLeaseRetriesComeEveryFiveSecondsAtTheLatest(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	l := newLedger(time.Minute).open("h", now, time.Time{}, 2*time.Hour)
	l.retry(now)
	if d := l.extendAt.Sub(now); d != 5*time.Second {
		t.Errorf("the next try comes after %v, want 5s", d)
	}
	l.end = now.Add(guard(l.length) + 100*time.Millisecond)
	l.retry(now)
	if d := l.extendAt.Sub(now); d != 50*time.Millisecond {
		t.Errorf("near the end the next try comes after %v, want 50ms", d)
	}
}

// leased is when the leases of the tables below are received.
var leased = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func TestExtensible(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(l *lease)
		want   bool
	}{
		{"in execution", func(*lease) {}, true},
		{"its delete is under way: it may fail, and is tried again", func(l *lease) { l.settling = &settlement{} }, true},
		{"under release: SQS would hide the message again", func(l *lease) { l.settling = &settlement{kind: release} }, false},
		{"its settle failed: it would never come to another consumer", func(l *lease) { l.renewal = stopped }, false},
		{"lost: another consumer may have it", func(l *lease) { l.stage = lost }, false},
		{"a second before its limit: SQS counts whole seconds", func(l *lease) { l.end = l.limit().Add(-time.Second) }, true},
		{"less than a second before its limit: SQS refuses it", func(l *lease) { l.end = l.limit().Add(1 - time.Second) }, false},
	} {
		l := newLedger(time.Minute).open("h", leased, time.Time{}, 80*time.Second)
		c.change(l)
		if got := l.extensible(); got != c.want {
			t.Errorf("%s: extensible is %v, want %v", c.name, got, c.want)
		}
	}
}

func TestAMessageIsNotHandedOverInTheLastQuarterOfItsLease(t *testing.T) {
	l := newLedger(time.Minute).open("h", leased, time.Time{}, 80*time.Second)
	for _, c := range []struct {
		after time.Duration
		want  bool
	}{{0, true}, {60 * time.Second, true}, {60*time.Second + 1, false}, {90 * time.Second, false}} {
		if got := l.startable(leased.Add(c.after)); got != c.want {
			t.Errorf("startable %v after the receive is %v, want %v", c.after, got, c.want)
		}
	}
}

func TestALostLeaseSaysWhy(t *testing.T) {
	away := errors.New("away")
	for _, c := range []struct {
		name   string
		change func(l *lease)
		want   error // exactly, or wrapped together with cause
		cause  error
		text   string
	}{
		{"at the limit", func(l *lease) { l.end, l.cause = l.limit(), away }, ErrLeaseLimit, nil, ""},
		{"less than a second before it", func(l *lease) { l.end = l.limit().Add(1 - time.Second) }, ErrLeaseLimit, nil, ""},
		{"a second before it, an extension could be asked for", func(l *lease) { l.end = l.limit().Add(-time.Second) },
			ErrLeaseLost, nil, "no extension was answered"},
		{"its extension failed", func(l *lease) { l.cause = away }, ErrLeaseLost, away, "could not be extended"},
		{"its settle failed", func(l *lease) { l.renewal = stopped }, ErrLeaseLost, nil, "not to be extended after its settle failed"},
		{"its settle failed during an extension", func(l *lease) { l.renewal = final }, ErrLeaseLost, nil,
			"not to be extended after its settle failed"},
		{"its extension was never answered", func(l *lease) { l.renewal = underWay }, ErrLeaseLost, nil, "no extension was answered"},
	} {
		l := newLedger(time.Minute).open("h", leased, time.Time{}, 80*time.Second)
		c.change(l)
		err := l.loss()
		if !errors.Is(err, c.want) || c.cause != nil && !errors.Is(err, c.cause) || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: %v, want %v with %v and %q", c.name, err, c.want, c.cause, c.text)
		}
	}
}
