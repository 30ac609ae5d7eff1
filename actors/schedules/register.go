package schedules

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"

	"github.com/sambatech/chassis/task/cron"
)

// What the processes of a fleet share about a schedule stands in tags of the queue of
// ticks. SQS has no other place for state that no receive takes away and no retention
// ends. A tag is written whole and the last writer wins; all of a fleet write the same.
//
//	chassis.cron.NAME         the newest tick that was sent, in Unix seconds
//	chassis.cron.NAME/paused  when an operator has paused it
//	chassis.cron.NAME/ran     begin and end of a run that lasted over the next tick
//	chassis.known.N           which schedules there are: known.go
const (
	tagPrefix = "chassis.cron."
	tagPaused = "/paused"
	tagRan    = "/ran"
)

// writeEvery is the time between two writes of one process: SQS allows 30 requests about
// tags in a second, of the whole account.
const writeEvery = 5 * time.Second

// pending are tags that are to be written, and when the last ones were.
type pending struct {
	tags map[string]string
	last time.Time // by the local clock
}

// due reports whether there are tags, and the time since the last is long enough.
func (p pending) due(now time.Time) bool {
	return len(p.tags) > 0 && now.Sub(p.last).Abs() >= writeEvery
}

// register reads and writes those tags.
type register struct {
	client *sqs.Client
	url    string
	clock  *clock
}

// entries are what the register says, by the names of schedules.
type entries map[string]entry

// entry is what the register says of one schedule.
type entry struct {
	sent             time.Time // the due time of the newest tick that was sent; zero: not known
	paused           time.Time // zero: it is not
	ranFrom, ranUpTo time.Time // the last run that lasted over a tick; zero: not known
	since            time.Time // since when its times are known to the fleet; zero: for long
}

// read asks the queue for its tags, and takes its time.
func (r *register) read(ctx context.Context) (reading, error) {
	begun := r.clock.local()
	out, err := r.client.ListQueueTags(ctx, &sqs.ListQueueTagsInput{QueueUrl: &r.url})
	if err != nil {
		r.clock.answered(middleware.Metadata{}, err, begun)
		return reading{}, fmt.Errorf("schedules: read the tags of %s (sqs:ListQueueTags): %w", r.url, err)
	}
	r.clock.answered(out.ResultMetadata, nil, begun)
	all, known := parseTags(out.Tags)
	return reading{entries: all, known: known, keys: len(out.Tags)}, nil
}

func parseTags(tags map[string]string) (entries, known) {
	all, known := entries{}, known{}
	for key, value := range tags {
		if strings.HasPrefix(key, tagKnown) {
			known.parse(value)
			continue
		}
		name, ours := strings.CutPrefix(key, tagPrefix)
		if !ours {
			continue
		}
		if name, ours = strings.CutSuffix(name, tagPaused); ours {
			e := all[name]
			e.paused = unixTime(value)
			all[name] = e
		} else if name, ours = strings.CutSuffix(name, tagRan); ours {
			e := all[name]
			from, upTo, _ := strings.Cut(value, ":")
			e.ranFrom, e.ranUpTo = unixTime(from), unixTime(upTo)
			all[name] = e
		} else {
			e := all[name]
			e.sent = unixTime(value)
			all[name] = e
		}
	}
	return all, known
}

// unixTime reads seconds with a fraction; what is not written by us is the zero time.
func unixTime(text string) time.Time {
	whole, part, _ := strings.Cut(text, ".")
	s, err := strconv.ParseInt(whole, 10, 64)
	if err != nil || s <= 0 || s > 1<<40 {
		return time.Time{}
	}
	ms, err := strconv.ParseInt((part + "000")[:3], 10, 64)
	if err != nil {
		return time.Time{}
	}
	return time.Unix(s, ms*int64(time.Millisecond)).UTC()
}

func unixText(t time.Time) string {
	return fmt.Sprintf("%d.%03d", t.Unix(), t.Nanosecond()/int(time.Millisecond))
}

func (r *register) write(ctx context.Context, tags map[string]string) error {
	if len(tags) == 0 {
		return nil
	}
	_, err := r.client.TagQueue(ctx, &sqs.TagQueueInput{QueueUrl: &r.url, Tags: tags})
	if err != nil {
		return fmt.Errorf("schedules: write %d tags of %s (sqs:TagQueue): %w", len(tags), r.url, err)
	}
	return nil
}

const (
	// crowded is how many tags a queue has when those that are stale are removed: it may
	// have 50, and others write tags, too.
	crowded = 40
	// staleRun is how long the word of a run counts: the ticks behind it come at once.
	staleRun = time.Hour
)

// stale returns the tags that say nothing any more, if room is scarce: of runs long ago, and
// of schedules that this process does not have and that sent nothing as old as can be late.
// A pause stays until an operator ends it.
func (e entries) stale(has func(name string) bool, now time.Time) (keys []string) {
	for name, of := range e {
		if !of.ranUpTo.IsZero() && now.Sub(of.ranUpTo) > staleRun {
			keys = append(keys, tagPrefix+name+tagRan)
		}
		if !of.sent.IsZero() && now.Sub(of.sent) > cron.MaxLateAge && !has(name) {
			keys = append(keys, tagPrefix+name)
		}
	}
	slices.Sort(keys)
	return keys
}

// tidy removes what is stale from a queue that has many tags, after a new reading of it.
func (r *register) tidy(ctx context.Context, said reading, jobs []*Job, now time.Time) {
	if said.by != read || said.keys < crowded || said.tidied {
		return
	}
	keys := said.entries.stale(func(name string) bool {
		return slices.ContainsFunc(jobs, func(j *Job) bool { return j.Schedule.Name() == name })
	}, now)
	if len(keys) > 0 {
		_ = r.remove(ctx, keys...) // it is tried again with the next reading
	}
}

func (r *register) remove(ctx context.Context, keys ...string) error {
	_, err := r.client.UntagQueue(ctx, &sqs.UntagQueueInput{QueueUrl: &r.url, TagKeys: keys})
	if err != nil {
		return fmt.Errorf("schedules: remove tags of %s (sqs:UntagQueue): %w", r.url, err)
	}
	return nil
}

// refused reports whether a right is missing: to ask again soon would not help.
func refused(err error) bool {
	var api smithy.APIError
	return errors.As(err, &api) && (strings.Contains(api.ErrorCode(), "AccessDenied") ||
		strings.Contains(api.ErrorCode(), "UnsupportedOperation") || api.ErrorCode() == "InvalidAction")
}
