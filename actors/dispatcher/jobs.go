package dispatcher

import "github.com/sambatech/chassis/task"

// Job returns the attempt of the task actor at an address, the Id of its PID,
// or nil. It is for the records of actors below it, which have no ctx.
func (m *Monitor) Job(id string) *task.Info {
	if a, ok := m.actors.Load(id); ok {
		return &a.(*attempt).info
	}
	return nil
}
