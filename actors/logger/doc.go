// Package logger is a log/slog handler that keeps no caller waiting for an
// output. The actor behind it owns the output.
//
// A call encodes its record on the caller's side, once, into a bounded ring
// of 64 KiB chunks, and returns. The actor is woken when the ring goes from
// empty to not empty and writes whole chunks. Nothing is lost by default: a
// full ring makes callers wait ([PolicyBlock]), and a record at ERROR or
// above is in the kernel before its call returns. Only while an output has
// failed for longer than about 1.5 s do callers not wait for it: the oldest
// records are dropped then, counted, and reported.
//
// What is in the ring is lost when the process ends without Stop, Flush or
// Guard, by os.Exit or log.Fatal for instance.
//
// # Use
//
//	l, err := logger.New("mailer", logger.Settings{Format: logger.FormatAuto})
//	if err != nil {
//		return err
//	}
//	defer l.Guard() // flushes, also when main panics
//	slog.SetDefault(l.Slog())
//
//	system := actor.NewActorSystem(actor.WithLoggerFactory(l.SystemLogger()))
//	_, err = l.Start(system) // from here on the actor owns the outputs
//	...
//	slog.InfoContext(ctx, "sending", "to", to) // carries service, job_id, job_name
//	err = l.Stop(ctx)                          // flushes; later records are written directly
//
// # The surface
//
//	New(service, Settings, ...Option) (*Logger, error)   works at once, writes directly
//	Logger.Slog, Logger.Handler, Logger.Named            the front
//	Logger.Start, Logger.Stop                            actor mode on and off
//	Logger.Flush, Logger.Guard, Logger.Panicked          what is accepted is written
//	Logger.SetLevel, Logger.Levels                       levels by logger name, live
//	Logger.Stats                                         counters, JSON-able
//	Logger.Tail, Logger.Subscribe                        the last records, and those to come
//	Logger.Reopen                                        files, after a rotation (also on SIGHUP)
//	Logger.SystemLogger                                  for actor.WithLoggerFactory
//	NamesJobs                                            whether a handler is a Logger's
//	Logger.PID                                           the address that takes Write, Describe, Reopen
//	WithOutput, WithFile, WithHook, WithRedactType, ...  options
//	Name, Labels, HTTPRequest, InsertID, Operation       attributes with a meaning of their own
//
// # What is on a record
//
// Every record has the service, job_id and job_name (both "unknown" outside
// a job; the text form leaves them out there), and inside a task also exec_id
// and attempt, read from the ctx of that very call by [task.OriginOf]; and the trace and span of OpenTelemetry's
// ctx. These and the other fields of a form's head are reserved: an attribute
// of the same name at the top level is kept, as "fields.<name>". Of two
// attributes with one name in one group the later one is kept; two groups with
// one name become one. An error within a value is its text.
//
// # Protocol
//
// To the actor at [Logger.PID], as pointers or as values. The answer goes to the
// sender of a request:
//
//	message   answer    when
//	Write     *Written  the record is in the buffer, dropped, or below its level
//	Describe  Stats     at once
//	Reopen    -
//	others    *actors.Unhandled
//
// # Who owns what
//
// Each output has a ring of its own and a child actor of the logger actor; the
// child alone writes to the descriptor while the logger runs. What must
// survive a restart (the ring, the chunk being written and how far it got) is
// outside the actors, so a restart loses nothing. An actor that another one stops is
// spawned again. Before Start and after Stop
// the calling goroutine writes, under the output's lock.
//
// A [Logger] and everything that it returns may be used from any goroutine.
// A writer given to the logger must not log through it: its record would wait
// for itself.
//
// # Debugging
//
// [Logger.Stats] has the accepted, written, dropped and pending records of each
// output, whether it is stalled or failing and since when; accepted = written
// + dropped + pending always, and pending is 0 after a Flush. What an output
// could not take is reported by a record in that same output once it works
// again, and by one line on stderr if it failed for long.
//
// # Testing
//
// Give New a bytes.Buffer by [WithOutput] and do not Start it: each record is
// in the buffer when its call returns.
package logger
