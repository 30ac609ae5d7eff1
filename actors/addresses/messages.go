package addresses

import (
	"context"

	"github.com/sambatech/chassis/task"
)

// unlogged keeps a message that comes after the end out of the log of dead letters.
type unlogged struct{}

// IgnoreDeadLetterLogging implements actor.IgnoreDeadLetterLogging.
func (unlogged) IgnoreDeadLetterLogging() {}

// inbox is a queue of this process.
type inbox struct{ name, url string }

// question is one that waits for an answer. The actor answers on its channels, which have
// room for one.
type question struct {
	unlogged
	id     string
	to     *inbox      // that the answer is to come to; nil: any, which the actor names
	named  chan reply  // gets the inbox, if to is nil
	answer chan answer // gets the answer
}

// reply is where answers come to, or why they cannot come.
type reply struct {
	at  *inbox
	err error
}

// answer is what a question came to.
type answer struct {
	*task.Answer
	err error
}

// withdrawn ends a question that has no asker any more.
type withdrawn struct {
	unlogged
	id string
}

// opened is the end of an attempt to make the inbox.
type opened struct {
	unlogged
	at  *inbox
	err error
}

// lost says that the inbox is gone.
type lost struct {
	unlogged
	at *inbox
}

// arrived are letters that came to the inbox.
type arrived struct {
	unlogged
	letters []task.Letter
	garbage int
}

// post is notices that are to be sent to all other processes.
type post struct {
	unlogged
	notices []task.Notice
	done    chan posted // has room for one
}

// posted is what a post came to.
type posted struct {
	inboxes int
	err     error
}

// carried is the end of a sending of posts.
type carried struct {
	unlogged
	of []*post
	posted
}

// taken are notices that this process has taken.
type taken struct {
	unlogged
	notices []task.Notice
}

// answering says that this process answers askers of a prefix.
type answering struct {
	unlogged
	prefix string
}

// tick begins a look at the inboxes of others.
type tick struct {
	unlogged
	generation uint64
}

// swept is the end of a look.
type swept struct {
	unlogged
	known map[string]verdict // what is known of the inboxes of others
}

// greet asks other processes for the notices that hold, once.
type greet struct {
	unlogged
	at *inbox
}

// hint names what the actor takes, for the sender of something else.
const hint = "is reached by the functions of the system, Ask and Cancel"

// sending is how a question's task is sent: with the value of task.AskedBy.
type sending func(ctx context.Context, reply string) (execID string, err error)
