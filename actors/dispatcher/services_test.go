package dispatcher

import (
	"math"
	"testing"
	"time"
)

func TestRoomOfAService(t *testing.T) {
	for _, c := range []struct {
		name           string
		o              Outlook
		inside, unused int
		want           int
	}{
		{"all calls", Outlook{}, 5, 0, math.MaxInt},
		{"none", Outlook{State: Refusing, After: time.Second}, 0, 0, 0},
		{"one probe", Outlook{State: Probing, Probes: 1}, 0, 0, 1},
		{"one probe, under way here", Outlook{State: Probing, Probes: 1, Taken: 1}, 1, 0, 0},
		{"one probe, begun and not called yet", Outlook{State: Probing, Probes: 1}, 1, 0, 0},
		{"one probe, under way elsewhere", Outlook{State: Probing, Probes: 1, Taken: 1}, 0, 0, 0},
		{"three probes, two of them elsewhere", Outlook{State: Probing, Probes: 3, Taken: 2}, 1, 0, 1},
		{"more probes than workers", Outlook{State: Probing, Probes: 100}, 0, 0, 20},
		{"probes that call nothing", Outlook{State: Probing, Probes: 1}, 1, 3, 7},
		{"endlessly", Outlook{State: Probing, Probes: 1}, 0, 99, 20},
		{"the ramp begins", Outlook{State: Ramping, Share: 0.01}, 0, 0, 1},
		{"half of the ramp", Outlook{State: Ramping, Share: 0.5}, 4, 0, 6},
		{"half of the ramp, all begun before", Outlook{State: Ramping, Share: 0.5}, 15, 0, 0},
	} {
		if got := c.o.room(c.inside, c.unused, 20); got != c.want {
			t.Errorf("%s: room for %d, want %d", c.name, got, c.want)
		}
	}
}

func TestWhatIsLearnedOfATask(t *testing.T) {
	now := time.Now()
	b := &behind{named: []string{"https://mail.internal/v1/messages"}}
	for url, news := range map[string]bool{
		"": false, "https://mail.internal": false, "https://mail.internal/v1": false, "https://mail.internal/v1/messages": false,
		"https://mail.internal/v1/mess": true, "https://mail.internal/v2": true,
	} {
		if b := (&behind{named: b.named}); b.learn(url, now) != news {
			t.Errorf("%q is news: %v", url, !news)
		}
	}
	b = &behind{}
	if b.known() || (*behind)(nil).known() {
		t.Error("something is known of nothing")
	}
	for _, url := range []string{"a://1", "a://2", "a://3", "a://4", "a://5", "a://5"} {
		b.learn(url, now)
	}
	if len(b.learned) != mostLearned || b.find("a://1") != nil || b.find("a://5") == nil {
		t.Errorf("learned %v", b.learned)
	}
	for i, want := range []time.Duration{2 * time.Second, 4 * time.Second, lastTrial, lastTrial} {
		l := b.find("a://5")
		if l.tried(now); l.trial.Sub(now) != want {
			t.Errorf("trial %d: the next one is in %v", i, l.trial.Sub(now))
		}
	}
	b.learn("a://2", now.Add(time.Minute))
	if b.expire(now.Add(learnedFor)); len(b.learned) != 1 || b.find("a://2") == nil {
		t.Errorf("after an hour %v is known", b.learned)
	}
	if b.disprove(now); b.known() || b.learn("a://2", now.Add(learnedFor-1)) || !b.learn("a://2", now.Add(learnedFor)) {
		t.Error("what was disproved is learned again too soon, or never")
	}
}

func TestWhichFailuresAreSpared(t *testing.T) {
	now := time.Now()
	for _, c := range []struct {
		name        string
		state       Reach
		first, when time.Time
		want        price
	}{
		{"the service is well, as far as is known", Admitting, now, now, costsPresumed},
		{"the service recovers", Ramping, now, now, costsPresumed},
		{"it is down", Refusing, now.Add(-time.Hour), now.Add(-time.Hour), costsNothing},
		{"a probe of several", Probing, now.Add(-time.Hour), now.Add(-time.Hour), costsNothing},
		{"for a day", Refusing, now.Add(-outagePatience), time.Time{}, costsOne},
		{"well, for a day", Admitting, now.Add(-outagePatience), time.Time{}, costsOne},
		{"scheduled long ago for now", Refusing, now.Add(-90 * 24 * time.Hour), now.Add(-time.Hour), costsNothing},
		{"its first delivery is not known", Refusing, time.Time{}, time.Time{}, costsNothing},
	} {
		o := Outlook{State: c.state, URL: "https://mail.internal"}
		if got := priceOf(o, c.first, c.when, now); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
	if got := priceOf(Outlook{}, now, now, now); got != costsOne {
		t.Errorf("no service failed a call: %v", got)
	}
}
