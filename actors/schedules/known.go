package schedules

import (
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sambatech/chassis/task/cron"
)

// known are the schedules that a fleet has, by their fingerprints, and since when. The zero
// time: for longer than it matters. A process that starts sends the ticks of the last minute,
// for those before it may have died; of a schedule that is new, or has other times now, it
// sends nothing from before.
type known map[string]time.Time

// They stand in tags of the queue. A value is a row of fingerprints, in places led by the
// time since when those behind it are known: AAAABBBB@1774000000:CCCC.
const (
	tagKnown      = "chassis.known."
	knownTags     = 4
	knownInTag    = 256 // characters of a tag's value, by SQS
	fingerprintOf = 4   // characters of a fingerprint
	sinceOf       = 16  // characters that a time may take, with @ and :
)

// maxKnown is how many fingerprints there is room for. A process with more schedules takes
// all for known.
const maxKnown = knownTags * (knownInTag - sinceOf*2) / fingerprintOf

// fingerprint is made of the name of a schedule, and of its times.
func fingerprint(s cron.Schedule) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\n%s\n%s\n%d", s.Name(), s.Times(), s.Times().Zone(), s.Jitter()))
	return base64.RawURLEncoding.EncodeToString(sum[:3])
}

// parse adds the fingerprints of a tag's value. What is not written by us ends it.
func (k known) parse(value string) {
	var since time.Time
	for len(value) >= fingerprintOf {
		if rest, ok := strings.CutPrefix(value, "@"); ok {
			text, rest, ok := strings.Cut(rest, ":")
			unix, err := strconv.ParseInt(text, 10, 64)
			if !ok || err != nil || unix <= 0 || unix > 1<<40 {
				return
			}
			since, value = time.Unix(unix, 0).UTC(), rest
			continue
		}
		k[value[:fingerprintOf]], value = since, value[fingerprintOf:]
	}
}

// join returns k with own, and whether one of them is new, which is known since now. Those of
// others are left out where there is no room, the newest last.
func (k known) join(own []string, now time.Time) (all known, grown bool) {
	all = known{}
	for _, f := range own {
		since, ok := k[f]
		if !ok {
			since, grown = now, true
		}
		all[f] = since
	}
	for _, f := range slices.SortedFunc(maps.Keys(k), func(a, b string) int {
		return cmp.Or(k[b].Compare(k[a]), strings.Compare(a, b))
	}) {
		if _, ok := all[f]; !ok && len(all) < maxKnown {
			all[f] = k[f]
		}
	}
	return all, grown
}

// tags returns what is to be written at now. Times that no longer matter are left out.
func (k known) tags(now time.Time) map[string]string {
	bySince := map[int64][]string{}
	for f, since := range k {
		if now.Sub(since) > 2*cron.Fresh {
			since = time.Unix(0, 0)
		}
		bySince[since.Unix()] = append(bySince[since.Unix()], f)
	}
	tags, value := map[string]string{}, ""
	flush := func() {
		if len(tags) < knownTags {
			tags[tagKnown+strconv.Itoa(len(tags))] = value
		}
	}
	for _, unix := range slices.Sorted(maps.Keys(bySince)) {
		lead := ""
		if unix > 0 {
			lead = fmt.Sprintf("@%d:", unix)
		}
		for i, f := range slices.Sorted(slices.Values(bySince[unix])) {
			if i == 0 {
				value += lead
			}
			if len(value)+fingerprintOf > knownInTag-sinceOf {
				flush()
				value = lead
			}
			value += f
		}
	}
	flush()
	return tags
}
