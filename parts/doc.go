// Package parts is the seam by which servers, loops, pools of connections and whole
// packages hang on to a service: each is a [Part] that the service starts, shows and
// stops in its order.
//
//	type relay struct{ ... }
//
//	func (r *relay) Start(ctx context.Context, host *parts.Host) error { go r.run(host); return nil }
//	func (r *relay) Stop(ctx context.Context) error                    { r.cancel(); return r.wait(ctx) }
//
//	sys.Add("relay", &relay{})                  // support: stops after the tasks have drained
//	sys.Add("mqtt", consumer, parts.Intake())   // intake: stops before
//
// The service's own methods are thin uses of it: Serve adds an [HTTP], Go a [Func],
// OnStop a [Closer].
//
// # The order
//
// At the start all parts that are an [Opener] are opened, so that a port in use is an
// error before anything runs. Then support parts start in the order of adding, the
// tasks, and intake parts. At the stop each is stopped once:
//
//	readiness says no; Host.Draining ends, and servers close each connection after its answer
//	stop_delay, if there is an intake part
//	intake parts, all at once: servers let their requests end
//	(the tasks drain)
//	support parts, one after the other, the last added first
//
// A part that does not end in its time is named in the error of the stop, and left
// alone. One that ends by an error, or panics, ends the service with it: its error is
// that of the stop. A part's code runs in goroutines of its own, where a panic becomes
// a [PanicError].
//
// # Who owns what
//
// A [Group] owns the parts of a service and their states. All methods of Group and
// Host are safe from any goroutine; Open, Start and Stop of a part are called one
// after the other, never twice.
//
// To see what the parts do look at the live page, /metrics (chassis_part_up), or
// [Group.Status]; each change of state is logged under "parts". To test a part start a
// service with it in package chassistest, or call its methods with a Host of your own.
package parts
