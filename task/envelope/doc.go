// Package envelope encrypts, compresses and moves the arguments of tasks: their envelope
// on the queue.
//
//	keys, err := envelope.OpenKeyFile("/run/secrets/task-keys")
//	env, err := envelope.New(envelope.Config{Keys: keys})
//	sys := chassis.MustNew("mailer", chassis.WithEnvelope(env))
//
//	var Welcome = task.Define[WelcomeArgs]("welcome", task.Encrypted())
//
// A task opts in by its definition, or a pool by its settings (tasks.encrypt_arguments). All others
// are on the queue as before, byte for byte.
//
// # The body
//
// The parts are done in this order: zstd from a size on, AES-256-GCM by a data key, and a
// claim check, an object in a [Store], above what every queue takes. The body of a sealed
// message is JSON that says so to people and to consumers that know nothing of it:
//
//	{"chassis_envelope": {"v": 1, "note": "…", "task": "welcome", "exec_id": "…", "key": "2026-11", …}, "data": "…"}
//
// It carries all that is needed to open it, so copies, dead letters and redrives take it
// along untouched. The task's name and the exec_id are authenticated: the body of one
// message does not open as that of another.
//
// # Ownership and concurrency
//
// An [Envelope] is safe for several goroutines. It keeps data keys in memory, within
// bounds. A store or a key service that does not return is left after [Config].Timeout,
// and at most [maxOpenCalls] of those calls are under way at once.
//
// # Debugging and testing
//
// Every error of [Envelope.Open] is a [*task.UnopenedError] and says what was found and
// what to do. None holds a part of the arguments. A test takes [NewKeyRing] with a key of
// its own, and [NewFolder] of a temporary folder.
package envelope
