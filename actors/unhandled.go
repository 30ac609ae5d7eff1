package actors

import (
	"fmt"
	"reflect"

	"github.com/asynkron/protoactor-go/actor"
)

// Unhandled answers a message that an actor does not take. It is an error:
// [Ask] returns it as one.
type Unhandled struct {
	Message any        // the message, as it was sent
	By      *actor.PID // the actor that does not take it; may be nil
	Hint    string     // what the actor takes, or "": for people
}

// Error names the actor, the type of the message, and what the actor takes.
func (u *Unhandled) Error() string {
	by := "the actor"
	if u.By != nil {
		by = u.By.Id
	}
	text := fmt.Sprintf("actors: %s does not take a %T", by, u.Message)
	if u.Hint != "" {
		text += ": it " + u.Hint
	}
	return text
}

// Nil reports whether a message is a nil pointer: a sender's mistake that matches a
// case of the receiver's switch, and would fail there. An actor refuses it.
func Nil(message any) bool {
	v := reflect.ValueOf(message)
	return v.Kind() == reflect.Pointer && v.IsNil()
}

// Refuse answers the sender of the current message with an [*Unhandled]. It
// reports whether the message was one to count and log as unknown: messages of
// Proto.Actor itself are not, and neither are answers that no actor waits for
// any more. Without a sender it answers nothing.
//
// hint completes the sentence "the actor ...", for example "takes *GetStats".
func Refuse(c actor.Context, hint string) bool {
	switch c.Message().(type) {
	case actor.SystemMessage, actor.AutoReceiveMessage, actor.MailboxMessage, actor.AutoRespond,
		*actor.ReceiveTimeout, *actor.DeadLetterResponse, *Unhandled:
		return false
	}
	if c.Sender() != nil {
		c.Respond(&Unhandled{Message: c.Message(), By: c.Self(), Hint: hint})
	}
	return true
}
