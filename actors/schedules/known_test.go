package schedules

import (
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/sambatech/chassis/task/cron"
)

func TestKnownSchedulesAreReadBack(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for _, n := range []int{0, 1, 2, 7, 60, maxKnown} {
		k := known{}
		want := known{}
		for i := range n {
			f := fmt.Sprintf("%04d", i)
			switch i % 3 {
			case 0:
				k[f], want[f] = time.Time{}, time.Time{}
			case 1:
				k[f], want[f] = now.Add(-time.Hour), time.Time{} // that long ago does not matter
			case 2:
				k[f] = now.Add(-time.Duration(i%2) * time.Second)
				want[f] = k[f]
			}
		}
		got := known{}
		for key, value := range k.tags(now) {
			if !strings.HasPrefix(key, tagKnown) || len(value) > knownInTag {
				t.Errorf("%d: a tag %s of %d characters", n, key, len(value))
			}
			got.parse(value)
		}
		if !maps.Equal(got, want) {
			t.Errorf("%d: %v, want %v", n, got, want)
		}
	}
	for _, garbage := range []string{"@", "@x:AAAA", "@99999999999999999999:AAAA", "@-3:AAAA", "A", "AAA@", "@17", "@1700000000"} {
		k := known{}
		if k.parse(garbage); len(k) > 1 {
			t.Errorf("%q: %v", garbage, k)
		}
	}
}

func TestASchedulesThatJoin(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	before := known{"aaaa": {}, "bbbb": now.Add(-time.Minute)}
	all, grown := before.join([]string{"bbbb", "cccc"}, now)
	if want := (known{"aaaa": {}, "bbbb": now.Add(-time.Minute), "cccc": now}); !grown || !maps.Equal(all, want) {
		t.Errorf("%v, %v", all, grown)
	}
	if again, grown := all.join([]string{"bbbb", "cccc"}, now.Add(time.Minute)); grown || !maps.Equal(again, all) {
		t.Errorf("again: %v, %v", again, grown)
	}
	full := known{}
	for i := range maxKnown {
		full[fmt.Sprintf("%04d", i)] = now.Add(time.Duration(i-maxKnown) * time.Second)
	}
	all, grown = full.join([]string{"aaaa"}, now)
	if _, oldest := all["0000"]; !grown || len(all) != maxKnown || oldest {
		t.Errorf("%d, %v, the oldest %v", len(all), grown, oldest)
	}
}

func TestFingerprintsAreOfNameAndTimes(t *testing.T) {
	seen := map[string]string{}
	for _, c := range []struct {
		name, expr string
		opts       []cron.Option
	}{
		{"a", "* * * * *", nil}, {"b", "* * * * *", nil}, {"a", "*/2 * * * *", nil},
		{"a", "* * * * *", []cron.Option{cron.Zone("Europe/Berlin")}}, {"a", "* * * * *", []cron.Option{cron.Jitter(time.Second)}},
	} {
		s, err := cron.New(c.name, c.expr, c.opts...)
		if err != nil {
			t.Fatal(err)
		}
		f := fingerprint(s)
		if seen[f] != "" || len(f) != fingerprintOf {
			t.Errorf("%+v has the fingerprint %q of %s", c, f, seen[f])
		}
		seen[f] = fmt.Sprint(c)
		again, _ := cron.New(c.name, c.expr, append(c.opts, cron.Late(cron.Once), cron.Overlap(cron.Allow), cron.Paused())...)
		if fingerprint(again) != f {
			t.Errorf("%+v: another policy is another fingerprint", c)
		}
	}
}
