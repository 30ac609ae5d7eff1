package chassistest

import (
	"strconv"
	"strings"
	"time"

	"github.com/sambatech/chassis/task"
)

// A process with a clock that is ahead writes times that are ahead, and takes the times
// of others for earlier than they are. All processes of a storm have one clock; so the
// times are moved on their way: those that it writes forth, those that it reads back.

// times are the attributes of a message that hold a time, with the layout of each.
var times = map[string]string{task.AttrWhen: task.WhenLayout, task.AttrFar: time.RFC3339Nano,
	task.AttrNotBefore: time.RFC3339Nano, task.AttrFirst: time.RFC3339Nano}

// skewed is the body of a request, or of an answer, with all times of its messages moved by
// d.
func (q *request) skewed(body []byte, d time.Duration) []byte {
	var pairs []string
	move := func(member, from, to string) {
		pairs = append(pairs, `"`+member+`":"`+from+`"`, `"`+member+`":"`+to+`"`)
	}
	for _, e := range q.entries {
		for name, layout := range times {
			if at, err := time.ParseInLocation(layout, e.attrs[name], time.UTC); err == nil {
				move("StringValue", e.attrs[name], at.Add(d).Format(layout))
			}
		}
		for _, name := range []string{"SentTimestamp", "ApproximateFirstReceiveTimestamp"} {
			if ms, err := strconv.ParseInt(e.system[name], 10, 64); err == nil {
				move(name, e.system[name], strconv.FormatInt(ms+d.Milliseconds(), 10))
			}
		}
	}
	if len(pairs) == 0 {
		return body
	}
	return []byte(strings.NewReplacer(pairs...).Replace(string(body)))
}
