package effects

// What to do about a difference.
const (
	adviceHTTP = "give the request an idempotency key that is the same in every run, if the service takes one:\n" +
		`req.Header.Set("Idempotency-Key", job.ExecID)` + "\n" +
		"or write down under job.ExecID that it was made, where the second run looks first,\n" +
		"and ask the service whether it was made: the process may have died in between"
	adviceKey = "the key is another one in each run: make it from what is the same in each,\n" +
		"job.ExecID first of all (no new UUID, no time, no counter in memory)"
	adviceName = "it has another name in each run: make it from what is the same in each,\n" +
		"job.ExecID first of all (no new UUID, no time, no counter in memory)"
	adviceBody = "the key is the same and the body is not: services refuse that, or answer as for the first one;\n" +
		"make the body from what is the same in each run (no time, no new UUID)"
	adviceSend = "give the task an exec_id that is the same in every run: task.ExecID(job.ExecID + \"/receipt\");\n" +
		"its own handler is then idempotent by it (on a FIFO pool task.Dedup also helps, for five minutes)"
	adviceOther = "give it a key that is the same in every run, as job.ExecID,\n" +
		"and have what stands behind it make a second one of that key harmless"
	adviceSQL = "make the statement harmless when it is made again: a unique key from job.ExecID with\n" +
		"ON CONFLICT DO NOTHING, values from arguments and not from the row;\n" +
		"or give Rerun.State, and it is judged by what is stored"
	adviceLost = "the second run takes for done what the first one did not do, or an error was swallowed:\n" +
		"write down that work is done after it was done, and return every error (the status of an answer, too)"
	adviceTooEarly = "send after the commit, and have the second run send again (with the same exec_id)\n" +
		"if the row is there"
	adviceNotAwaited = "wait for it before the handler returns: once it has returned nil, the message is deleted,\n" +
		"and a death loses what still goes on"
)

func adviceOf(e *Effect) string {
	switch {
	case e.Kind == Send:
		return adviceSend
	case e.Key != "":
		return adviceKey
	case e.Kind == HTTP:
		return adviceHTTP
	}
	return adviceOther
}
