package admin

import (
	"context"
	"net/http"

	"github.com/sambatech/chassis/actors/schedules"
)

// Schedules shows and steers the schedules.
type Schedules interface {
	Schedules() []schedules.Status
	// SendNow sends the task of a schedule now, and returns its exec_id.
	SendNow(ctx context.Context, name string) (execID string, err error)
	// Pause pauses a schedule in the whole fleet, or ends that.
	Pause(ctx context.Context, name string, on bool) error
}

// ScheduleList is the answer of /api/v1/schedules.
type ScheduleList struct {
	List []schedules.Status `json:"list"`
}

// ScheduleRun is the answer of /api/v1/schedules/run.
type ScheduleRun struct {
	Name   string `json:"name"`
	ExecID string `json:"exec_id"`
}

type scheduleCommand struct {
	Name string `json:"name"`
}

func (c scheduleCommand) check() error { return need("name", c.Name) }

// maxSchedules bounds the schedules of an answer.
const maxSchedules = 1000

// schedules are those of the service, bounded.
func (c *Config) schedules() []schedules.Status {
	if c.Schedules == nil {
		return nil
	}
	list, _ := first(c.Schedules.Schedules(), maxSchedules)
	return list
}

func (s *Server) getSchedules(*http.Request) (any, error) {
	return ScheduleList{s.cfg.schedules()}, nil
}

func (s *Server) runSchedule(r *http.Request, c scheduleCommand) (any, error) {
	id, err := s.cfg.Schedules.SendNow(r.Context(), c.Name)
	return ScheduleRun{c.Name, id}, err
}

func (s *Server) pauseSchedule(r *http.Request, c scheduleCommand) (any, error) {
	return c, s.cfg.Schedules.Pause(r.Context(), c.Name, true)
}

func (s *Server) resumeSchedule(r *http.Request, c scheduleCommand) (any, error) {
	return c, s.cfg.Schedules.Pause(r.Context(), c.Name, false)
}
