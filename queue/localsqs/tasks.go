package localsqs

import (
	"github.com/sambatech/chassis/queue/localsqs/internal/engine"
	"github.com/sambatech/chassis/queue/localsqs/internal/wire"
)

func (s *Server) addPermission(c *call) *engine.Error {
	var r wire.Permission
	if err := wire.Decode(c.body, &r); err != nil {
		return err
	}
	c.empty()
	return s.with(c, r.QueueUrl, func(now int64, e *engine.Engine, q *engine.Queue) *engine.Error {
		return e.AddPermission(now, q, r.Label, r.AWSAccountIds, r.Actions)
	})
}

func (s *Server) removePermission(c *call) *engine.Error {
	var r wire.Permission
	if err := wire.Decode(c.body, &r); err != nil {
		return err
	}
	c.empty()
	return s.with(c, r.QueueUrl, func(now int64, e *engine.Engine, q *engine.Queue) *engine.Error {
		return e.RemovePermission(now, q, r.Label)
	})
}

func (s *Server) startMove(c *call) *engine.Error {
	var r wire.MoveTask
	if err := wire.Decode(c.body, &r); err != nil {
		return err
	}
	return s.do(func(now int64, e *engine.Engine) *engine.Error {
		handle, err := e.StartMoveTask(now, r.SourceArn, r.DestinationArn, r.MaxNumberOfMessagesPerSecond)
		c.reply(object{"TaskHandle": handle})
		return err
	})
}

func (s *Server) cancelMove(c *call) *engine.Error {
	var r wire.MoveTask
	if err := wire.Decode(c.body, &r); err != nil {
		return err
	}
	return s.do(func(_ int64, e *engine.Engine) *engine.Error {
		moved, err := e.CancelMoveTask(r.TaskHandle)
		c.reply(object{"ApproximateNumberOfMessagesMoved": moved})
		return err
	})
}

func (s *Server) listMoves(c *call) *engine.Error {
	var r wire.MoveTask
	if err := wire.Decode(c.body, &r); err != nil {
		return err
	}
	limit, err := within(r.MaxResults, 1, 1, 10, "MaxResults", "You must enter a number that's between 1 and 10.")
	if err != nil {
		return err
	}
	return s.look(func(_ int64, e *engine.Engine) *engine.Error {
		tasks, err := e.MoveTasks(r.SourceArn, int(limit))
		if err != nil {
			return err
		}
		results := make([]object, len(tasks))
		for i, t := range tasks {
			results[i] = view(&t)
		}
		answer := object{}
		if len(results) > 0 {
			answer["Results"] = results
		}
		c.reply(answer)
		return nil
	})
}

func view(t *engine.TaskView) object {
	o := object{
		"Status": t.Status, "SourceArn": t.SourceARN, "StartedTimestamp": t.Started / 1e6,
		"ApproximateNumberOfMessagesMoved": t.Moved, "ApproximateNumberOfMessagesToMove": t.ToMove,
	}
	for name, text := range map[string]string{"TaskHandle": t.Handle, "DestinationArn": t.DestinationARN,
		"FailureReason": t.Reason} {
		if text != "" {
			o[name] = text
		}
	}
	if t.Rate > 0 {
		o["MaxNumberOfMessagesPerSecond"] = t.Rate
	}
	return o
}
