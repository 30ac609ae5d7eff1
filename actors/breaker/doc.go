// Package breaker protects callers from a remote service that fails, and the
// service from its callers: one breaker actor for each scheme://host[:port],
// with an entry for every path prefix that is not healthy.
//
//	system := actor.NewActorSystem()
//	mail, err := breaker.Spawn(system, "https://mail.internal", breaker.Settings{})
//	if err != nil {
//		return err
//	}
//	defer mail.Stop(context.Background())
//
//	res, err := mail.Client().Get("https://mail.internal/v1/inbox") // any http.Client use
//	if errors.Is(err, breaker.ErrOpen) {
//		// refused without a request; errors.As an *OpenError for the entry and RetryAfter
//	}
//	err = mail.Do(ctx, "/v1/send", send) // or any function
//
// # Entrances
//
//   - [Breaker.Do] and [Execute] guard a function, [Breaker.Acquire] a pair of
//     points in a program. [Breaker.Route] is for one path that is called often.
//   - [Breaker.Transport] and [Breaker.Client] guard net/http, the response's
//     body included; [WithClassifier] and [WithBodyPeek] judge by error, status
//     and body. Package grpcbreaker guards gRPC. A client tries again with [Retry],
//     and sends a second request with [Hedge], within one budget a service. [EjectOutliers] spreads
//     its requests over the addresses of a name. [WithLimit] bounds the calls in flight.
//   - By PID ([Breaker.PID]) every actor can send the messages below.
//   - Operators have [Breaker.ForceOpen], [Breaker.ForceClosed],
//     [Breaker.MetricsOnly], [Breaker.Reset] and [Breaker.SetSettings], and
//     see [Breaker.State], [Breaker.StateOf], [Breaker.Snapshot],
//     [Breaker.Transitions] and [Breaker.Listen].
//
// # Semantics
//
// A call to /v1/send goes by three entries: the service, /v1 and /v1/send. It
// is admitted by all of them or by none, and its outcome is registered on all
// of them. An entry is made by a failure and forgotten when it is healthy, so a
// healthy path costs no memory.
//
// CLOSED admits, and opens by its trip policy: ClosedFailLimit failures with
// fewer than ClosedSuccessLimit successes among them, or a failure rate, a rate
// of slow calls, or a number of calls that hang. OPEN refuses for OpenTimeout.
// HALF-OPEN admits HalfProbeLimit calls at a time, each with a deadline, opens
// again at HalfFailLimit failures and closes at HalfSuccessLimit successes.
// The change from open to half-open happens by the actor's timer, without
// traffic, on the monotonic clock; where a machine has slept, on the wall clock.
//
// An outcome counts only for the state that the call was admitted in: one that
// comes later, from before a transition of the entry or an operator's order,
// changes nothing there. A failure is what was seen of the service: the caller's
// own cancellation, mistakes and pauses are neutral, and good headers that are closed
// unread are a success. A panic and a runtime.Goexit are failures; they go on as
// they were.
//
// Blame: when a call fails while an entry is half-open, and a deeper entry on
// its path is itself known to be bad, the deeper one alone takes the failure.
// So one broken page cannot keep its host from recovering.
//
// # Protocol
//
// To a breaker, as pointers or as values. The answer is a pointer, and goes to the
// sender of a request:
//
//	message         answer        when
//	Call            *CallResult   its function has returned, or it was refused
//	Admit           *Admitted     at once
//	Report          -
//	Force           *Done         at once
//	Reset           *Done         at once
//	Change          *Done         at once
//	GetSnapshot     *Snapshot     at once
//	GetTransitions  *Transitions  at once
//	Subscribe       *Done         at once; then a *Transition for each
//	Unsubscribe     *Done         at once
//	others          *actors.Unhandled
//
// # Who owns what
//
// The actor alone changes state. It publishes each new state as one immutable
// tree behind an atomic pointer; a call reads that pointer once before and once
// after. A success where no failure is counted, and a refusal, send no message
// and write nothing. Whatever may change the state is asked of the actor, and
// the answer comes after the new state is published: so a call that begins
// after the tripping call has returned is refused. Because every report is
// waited for, there is never one under way behind a caller's back, and no
// counter of reports is needed.
//
// A failure that changes nothing but the counts of closed entries takes a short way:
// its caller's goroutine takes a turn of the actor and counts in place. The counts are
// atomic, and a stamp of the view shows whether they have changed during a call.
//
// The actor's mailbox is run by whichever goroutine sends to it (Proto.Actor's
// synchronized dispatcher), so asking costs no switch of goroutines, and an
// idle breaker, open or not, has no goroutine. If the actor panics, or is
// stopped by something else than Stop, it is restarted under the same PID and
// goes on from the state that was published last; actors that watch it get its
// real end alone.
//
// A breaker of a [Group] that is healthy and has no calls sleeps after a while:
// its actor ends, and its handle keeps the state. The next call wakes it. One that
// sleeps and that no caller holds is forgotten.
//
// A *[Breaker], its [Permit]s, transports and clients are safe for use by
// several goroutines at once.
//
// # Debugging
//
// [Breaker.Snapshot] is the state of every entry as JSON-able values,
// [Breaker.Transitions] the ordered log of what happened and why; [Replay] folds
// it into states again. Each transition is also logged to the slog.Logger given
// with [WithLogger].
//
// # Testing
//
// The breaker keeps time with the time package alone, so testing/synctest
// controls it. Package breakertest holds the conformance suite that this
// package passes; any other breaker can be put through it with an adapter of a
// few lines. For a test of a caller's own code, ForceOpen gives a refusal
// without a failure.
package breaker
