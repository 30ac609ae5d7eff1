package chassistest

import (
	"encoding/json"
	"strconv"
	"time"

	"github.com/sambatech/chassis/task"
)

// A process with a clock that is ahead writes times that are ahead, and takes the times
// of others for earlier than they are. All processes of a storm have one clock; so the
// times are moved on their way: those that it writes forth, those that it reads back.

// skewedRequest is a send as a process with a clock that is ahead by d makes it.
func skewedRequest(body []byte, d time.Duration) []byte {
	return rewrite(body, func(message map[string]json.RawMessage) {
		moveAttributes(message, d)
	}, "Entries")
}

// skewedAnswer is the answer to a receive as that process reads it.
func skewedAnswer(body []byte, d time.Duration) []byte {
	return rewrite(body, func(message map[string]json.RawMessage) {
		moveAttributes(message, -d)
		var system map[string]string
		if json.Unmarshal(message["Attributes"], &system) != nil {
			return
		}
		for _, name := range []string{"SentTimestamp", "ApproximateFirstReceiveTimestamp"} {
			if ms, err := strconv.ParseInt(system[name], 10, 64); err == nil {
				system[name] = strconv.FormatInt(ms-d.Milliseconds(), 10)
			}
		}
		message["Attributes"], _ = json.Marshal(system) // strings always marshal, as below
	}, "Messages")
}

// rewrite changes each message of a body: those of its list, or itself.
func rewrite(body []byte, change func(map[string]json.RawMessage), list string) []byte {
	var whole map[string]json.RawMessage
	if json.Unmarshal(body, &whole) != nil {
		return body
	}
	var messages []map[string]json.RawMessage
	if json.Unmarshal(whole[list], &messages) == nil {
		for _, m := range messages {
			change(m)
		}
		whole[list], _ = json.Marshal(messages)
	} else {
		change(whole)
	}
	changed, err := json.Marshal(whole)
	if err != nil {
		return body
	}
	return changed
}

// moveAttributes moves the times among the attributes of a message.
func moveAttributes(message map[string]json.RawMessage, d time.Duration) {
	var attributes map[string]map[string]any
	if json.Unmarshal(message["MessageAttributes"], &attributes) != nil {
		return
	}
	for name, layout := range map[string]string{task.AttrWhen: task.WhenLayout, task.AttrFar: time.RFC3339Nano,
		task.AttrNotBefore: time.RFC3339Nano, task.AttrFirst: time.RFC3339Nano} {
		text, _ := attributes[name]["StringValue"].(string)
		if at, err := time.ParseInLocation(layout, text, time.UTC); err == nil {
			attributes[name]["StringValue"] = at.Add(d).Format(layout)
		}
	}
	message["MessageAttributes"], _ = json.Marshal(attributes)
}
