package lifecycle

import "strings"

// panicStack cuts what stands before the panic off a stack that was taken in
// a deferred function of it, as debug.Stack gives it. It returns "" when no
// panic is under way.
func panicStack(stack string) string {
	head, body, ok := strings.Cut(stack, "\n")
	if !ok {
		return ""
	}
	// The first panic on the stack is the one that is recovered now.
	at := strings.Index(body, "\npanic(")
	if at < 0 {
		return ""
	}
	return head + body[at:]
}

// escalated reports whether the stack is that of a supervisor that hands on
// the failure of a child.
func escalated(stack string) bool { return strings.Contains(stack, "(*actorContext).handleFailure(") }
