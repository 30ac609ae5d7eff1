package task

import (
	"cmp"
	"context"
)

// Origin names the job that work belongs to, for work that is no task: a request, for
// example. It is the job_id and job_name of each record that is logged with the ctx,
// and of each task that is sent with it. An empty part is [Unknown] there.
type Origin struct {
	ID, Name string
}

// WithOrigin returns a ctx that belongs to a job of the caller's own. Inside a task
// it replaces the task's job id and name; [JobFrom] still returns the task.
func WithOrigin(ctx context.Context, id, name string) context.Context {
	return &OriginContext{Context: ctx, Origin: Origin{id, name}}
}

// OriginContext is the ctx that [WithOrigin] returns. It is exported for code that
// keeps it inside a value of its own, and by that makes one allocation less; the
// parent and the origin must not change once others have the ctx.
type OriginContext struct {
	context.Context // the parent
	Origin          Origin
	Names           Namer // nil, or names the job in place of Origin.Name
}

// Namer names a job when its name is asked for: at each record and each task of its ctx,
// from any goroutine.
type Namer interface {
	JobName() string
}

// origin returns the job of the ctx, by its name of now.
func (c *OriginContext) origin() Origin {
	o := c.Origin
	if c.Names != nil {
		o.Name = c.Names.JobName()
	}
	return Origin{cmp.Or(o.ID, Unknown), cmp.Or(o.Name, Unknown)}
}

// Value implements [context.Context].
func (c *OriginContext) Value(key any) any {
	if key == (infoKey{}) {
		return c
	}
	return c.Context.Value(key)
}

// OriginOf returns the job that ctx belongs to, and its task: nil outside a task. Of
// a task and a [WithOrigin] the inner one names the job. Without either the origin is
// empty.
func OriginOf(ctx context.Context) (Origin, *Info) {
	if ctx == nil {
		return Origin{}, nil
	}
	switch found := ctx.Value(infoKey{}).(type) {
	case *Info:
		if found != nil {
			return Origin{cmp.Or(found.JobID, Unknown), cmp.Or(found.JobName, Unknown)}, found
		}
	case *OriginContext:
		return found.origin(), JobFrom(found.Context)
	}
	return Origin{}, nil
}
