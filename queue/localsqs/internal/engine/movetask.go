package engine

import (
	"encoding/base64"
	"encoding/json"
	"slices"
	"strconv"
)

// The states of a move task.
const (
	taskRunning   = "RUNNING"
	taskCompleted = "COMPLETED"
	taskCancelled = "CANCELLED"
	taskFailed    = "FAILED"
)

const (
	maxTasks   = 10 // remembered of one source, as ListMessageMoveTasks can show
	moveStep   = 10 * second / 1000
	moveAtOnce = 500 // messages a step of a task without a rate
	maxRate    = 500
)

// MoveTask moves the messages that a dead-letter queue held when it was
// started, to where they came from or to one queue. It is also what the store
// keeps of it.
type MoveTask struct {
	ID          int64
	Source      Key
	Destination *Key // nil: where each message came from
	Rate        int64
	Status      string
	Reason      string
	Started     int64
	Upto        uint64 // messages after this came later
	ToMove      int64
	Moved       int64

	timer timer
}

// StartMoveTask starts a task and returns its handle. rate is in messages a
// second, 0 for as fast as it goes.
func (e *Engine) StartMoveTask(now int64, source, destination string, rate *int64) (string, *Error) {
	from, err := e.resolve("SourceArn", source)
	if err != nil {
		return "", err
	}
	t := &MoveTask{Source: from.Key, Started: now, Status: taskRunning, Upto: e.lastSeq, ToMove: int64(from.visible)}
	if destination != "" {
		to, err := e.resolve("DestinationArn", destination)
		switch {
		case err != nil:
			return "", err
		case to == from:
			return "", InvalidParameterValue("Source queue arn and destination queue arn cannot be the same.")
		case to.attrs.fifo != from.attrs.fifo:
			return "", InvalidParameterValue("The source queue and destination queue must be of the same queue type.")
		}
		t.Destination = &to.Key
	}
	if rate != nil {
		if t.Rate = *rate; t.Rate < 1 || t.Rate > maxRate {
			return "", InvalidParameterValue("Value for parameter MaxNumberOfMessagesPerSecond is invalid. " +
				"Reason: You must enter a number that's between 1 and 500.")
		}
	}
	if sources, _ := e.Sources(from, "", 1); len(sources) == 0 {
		return "", InvalidParameterValue("Source queue must be configured as a Dead Letter Queue.")
	}
	for _, other := range from.tasks {
		if other.Status == taskRunning {
			return "", InvalidParameterValue("There is already a task running. Only one active task is allowed " +
				"for a source queue arn at a given time.")
		}
	}
	e.lastTask++
	t.ID = e.lastTask
	e.addTask(from, t)
	for len(from.tasks) > maxTasks {
		e.record(Change{Kind: TaskGone, Seq: uint64(from.tasks[0].ID)})
		from.tasks = from.tasks[1:]
	}
	e.recordTask(t)
	e.timers.set(&t.timer, now)
	return e.taskHandle(t), nil
}

func (e *Engine) addTask(q *Queue, t *MoveTask) {
	t.timer = newTimer(func(e *Engine, now int64) { e.stepTask(now, t) })
	q.tasks = append(q.tasks, t)
}

// resolve finds the queue of an ARN that was given as the named parameter.
func (e *Engine) resolve(parameter, arn string) (*Queue, *Error) {
	if arn == "" && parameter == "SourceArn" {
		return nil, MissingParameter(parameter)
	}
	key, ok := ParseARN(arn)
	if !ok {
		return nil, InvalidParameterValue("You must use this format to specify the %s: "+
			"arn:<partition>:<service>:<region>:<account-id>:<resource-id>", parameter)
	}
	q := e.queues[key]
	if q == nil || e.ARN(q) != arn {
		return nil, resourceNotFound("The resource that you specified for the %s parameter doesn't exist.", parameter)
	}
	return q, nil
}

type taskHandle struct {
	TaskID    string `json:"taskId"`
	SourceARN string `json:"sourceArn"`
}

func (e *Engine) taskHandle(t *MoveTask) string {
	b, _ := json.Marshal(taskHandle{strconv.FormatInt(t.ID, 10), e.arn(t.Source)}) // strings always marshal
	return base64.StdEncoding.EncodeToString(b)
}

// stepTask moves as many messages as are due and sets the time of the next.
func (e *Engine) stepTask(now int64, t *MoveTask) {
	q := e.queues[t.Source]
	if q == nil || t.Status != taskRunning {
		return
	}
	n, wait := int64(moveAtOnce), moveStep
	if t.Rate > 0 {
		n, wait = 1, second/t.Rate
		if wait < moveStep {
			n, wait = t.Rate*moveStep/second, moveStep
		}
	}
	for ; n > 0 && t.Status == taskRunning; n-- {
		m := q.oldestUpto(t.Upto)
		if m == nil {
			t.Status = taskCompleted
			break
		}
		e.redriveOne(now, t, m)
	}
	e.recordTask(t)
	if t.Status == taskRunning {
		e.timers.set(&t.timer, now+wait)
	}
}

// redriveOne moves m on behalf of t: a new message with a new id and time of
// sending, as with AWS.
func (e *Engine) redriveOne(now int64, t *MoveTask, m *Message) {
	key := t.Destination
	if key == nil {
		key = m.origin
	}
	if key == nil {
		t.Status, t.Reason = taskFailed, "CouldNotDetermineMessageSource"
		return
	}
	to := e.queues[*key]
	if to == nil {
		t.Status, t.Reason = taskFailed, legacy+"NonExistentQueue"
		return
	}
	e.move(now, m, to, nil, func() { m.ID, m.Sent = e.cfg.NewID(), now })
	t.Moved++
}

// oldestUpto finds an available message with a Seq of at most limit, turning
// the groups until one has it.
func (q *Queue) oldestUpto(limit uint64) *Message {
	first := q.turn
	for g := first; g != nil; {
		if m := g.head(); m != nil && m.Seq <= limit {
			return m
		}
		if m := g.upto(limit); m != nil {
			return m
		}
		if g = g.next; g == first {
			return nil
		}
		q.turn = g
	}
	return nil
}

// upto finds an available message with a Seq of at most limit, in a group that is
// out of order.
func (g *group) upto(limit uint64) *Message {
	if g.queue.engine.unkind == nil {
		return nil
	}
	for i := range g.back.slots {
		if m := g.back.slots[i].item; m.Seq <= limit {
			return m
		}
	}
	return nil
}

// CancelMoveTask ends a running task and returns how many messages it has moved.
func (e *Engine) CancelMoveTask(handle string) (moved int64, err *Error) {
	if handle == "" {
		return 0, MissingParameter("TaskHandle")
	}
	var h taskHandle
	b, bad := base64.StdEncoding.DecodeString(handle)
	if bad != nil || json.Unmarshal(b, &h) != nil {
		return 0, InvalidParameterValue("Value for parameter TaskHandle is invalid.")
	}
	q, err := e.resolve("SourceArn", h.SourceARN)
	if err != nil {
		return 0, err
	}
	for _, t := range q.tasks {
		if strconv.FormatInt(t.ID, 10) != h.TaskID {
			continue
		}
		if t.Status != taskRunning {
			return 0, UnsupportedOperation("Only active tasks can be cancelled.")
		}
		t.Status = taskCancelled
		e.timers.drop(&t.timer)
		e.recordTask(t)
		return t.Moved, nil
	}
	return 0, resourceNotFound("Task does not exist.")
}

// TaskView is a move task as it is listed.
type TaskView struct {
	MoveTask
	Handle, SourceARN, DestinationARN string
}

// MoveTasks lists the tasks of a source, the latest first.
func (e *Engine) MoveTasks(source string, limit int) ([]TaskView, *Error) {
	q, err := e.resolve("SourceArn", source)
	if err != nil {
		return nil, err
	}
	var list []TaskView
	for _, t := range slices.Backward(q.tasks) {
		if len(list) == limit {
			break
		}
		v := TaskView{MoveTask: *t, SourceARN: e.arn(t.Source)}
		if t.Status == taskRunning {
			v.Handle = e.taskHandle(t)
		}
		if t.Destination != nil {
			v.DestinationARN = e.arn(*t.Destination)
		}
		list = append(list, v)
	}
	return list, nil
}

// endMoves forgets the tasks of a queue that is deleted.
func (e *Engine) endMoves(q *Queue) {
	for _, t := range q.tasks {
		e.timers.drop(&t.timer)
		e.record(Change{Kind: TaskGone, Seq: uint64(t.ID)})
	}
	q.tasks = nil
}

func (e *Engine) recordTask(t *MoveTask) {
	if e.cfg.Durable {
		c := *t
		e.record(Change{Kind: TaskPut, Seq: uint64(t.ID), Task: &c})
	}
}

// RestoreTask puts a task back; a running one goes on. They must come in the
// order of their ids, after the queues.
func (e *Engine) RestoreTask(now int64, t *MoveTask) {
	e.lastTask = max(e.lastTask, t.ID)
	q := e.queues[t.Source]
	if q == nil {
		e.record(Change{Kind: TaskGone, Seq: uint64(t.ID)})
		return
	}
	e.addTask(q, t)
	if t.Status == taskRunning {
		e.timers.set(&t.timer, now)
	}
}
