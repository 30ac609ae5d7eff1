package admin

import (
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sambatech/chassis/actors/breaker"
	"github.com/sambatech/chassis/actors/dispatcher"
	"github.com/sambatech/chassis/actors/logger"
	"github.com/sambatech/chassis/health"
	"github.com/sambatech/chassis/parts"
)

// metric is one name of ours, with its help text, its kind, and how its values
// are read. The names follow the Prometheus and
// OpenTelemetry conventions: base units, the unit in the name, _total for counts
// since the start.
type metric struct {
	name, help string
	kind       prometheus.ValueType
	labels     []string
	read       func(*scrape, func(value any, labels ...string))
}

const (
	gauge   = prometheus.GaugeValue
	counter = prometheus.CounterValue
	// histogram is the kind of [dispatcher.Durations], which have no single value.
	histogram = prometheus.UntypedValue
)

// by is the values of one metric by its last label.
type by map[string]any

// rows declares metrics of the things of one list. Each has labels with those
// values. What a metric's value returns is a number, a bool, a time,
// [dispatcher.Durations], by of these with a label more, or nil for none.
func rows[T any](list func(*scrape) []T, values func(*T) []string, labels ...string) func(name, help string,
	kind prometheus.ValueType, value func(*T) any, label ...string) metric {
	return func(name, help string, kind prometheus.ValueType, value func(*T) any, label ...string) metric {
		return metric{name, help, kind, slices.Concat(labels, label), func(s *scrape, put func(any, ...string)) {
			list := list(s)
			for i := range list {
				labels := values(&list[i])
				switch v := value(&list[i]).(type) {
				case nil:
				case by:
					for last, v := range v {
						put(v, slices.Concat(labels, []string{last})...)
					}
				default:
					put(v, labels...)
				}
			}
		}}
	}
}

// metrics is the table of all metrics of ours.
func metrics() []metric {
	type (
		task   = dispatcher.TaskStats
		tenant = dispatcher.TenantStats
		output = logger.OutputStats
	)
	none := func(*scrape) []string { return nil }
	itself := func(s *scrape) []scrape { return []scrape{*s} }
	build := rows(itself, func(s *scrape) []string { return []string{s.info.Name, s.info.Version, s.info.GoVersion} },
		"service", "version", "goversion")
	service := rows(itself, none)
	workers := rows(func(s *scrape) []Workers { return s.workers }, func(*Workers) []string { return nil })
	queues := rows(func(s *scrape) []Queue { return s.queues },
		func(q *Queue) []string { return []string{q.Name, q.Role} }, "queue", "role")
	rights := rows((*scrape).rights, func(r *right) []string { return []string{r.action, r.queue} }, "action", "queue")
	pools := rows((*scrape).pools, func(p *Pool) []string { return []string{p.Name} }, "pool")
	tenants := rows((*scrape).tenants, tenantLabel, "tenant")
	tasks := rows(func(s *scrape) []task { return s.tasks }, func(t *task) []string { return []string{t.Name} },
		"task")
	breakers := rows(func(s *scrape) []Breaker { return s.breakers },
		func(b *Breaker) []string { return []string{b.Service} }, "service")
	checks := rows(func(s *scrape) []health.Status { return s.checks },
		func(c *health.Status) []string { return []string{c.Name} }, "name")
	others := rows(func(s *scrape) []parts.Status { return s.parts },
		func(p *parts.Status) []string { return []string{p.Name} }, "part")
	outputs := rows(func(s *scrape) []output { return s.outputs },
		func(o *output) []string { return []string{o.Name} }, "output")

	return []metric{
		build("chassis_build_info", "1, labelled with what runs.", gauge, func(*scrape) any { return 1 }),
		service("chassis_service_state", "1 for the state that the service is in, else 0.", gauge, func(s *scrape) any { return only(serviceStates, s.info.State) }, "state"),
		service("chassis_ready", "1 if the readiness check is OK, else 0.", gauge, func(s *scrape) any {
			r := &s.ready
			return by{"task_queues": r.TaskQueues == OK, "task_consumer": r.TaskConsumer == OK, "all": r.OK()}
		}, "check"),
		service("chassis_metrics_left_out", "Tasks or breakers that are not shown, to bound the number of series.", gauge, func(s *scrape) any { return s.leftOut }, "kind"),
		service("chassis_actor_restarts_total", "Restarts of an actor after a panic.", counter, func(s *scrape) any { return s.restarts }, "actor"),
		service("chassis_actor_events_total", "What became of actors, the service's and the chassis', but not of tasks: failed (a panic), restarted, resumed, stopped for good by a supervisor; and dead_letter, a message without a receiver.", counter, (*scrape).events, "event"),
		service("chassis_admin_refused_logins_total", "Requests to the admin server with a wrong token.", counter, func(s *scrape) any { return s.logins }),

		checks("chassis_check_up", "1 if the check of a dependency passes, else 0.", gauge, checkUp),
		checks("chassis_check_duration_seconds", "How long the last run of the check took.", gauge, checkTook),
		others("chassis_part_up", "1 if the part is as it should be in a service that runs, else 0.", gauge, func(p *parts.Status) any { return p.Up() }),

		queues("chassis_queue_up", "1 if the queue gave its numbers, else 0.", gauge, func(q *Queue) any { return q.Error == "" && !q.Missing }),
		queues("chassis_queue_messages", "Messages on the queue, approximately.", gauge, queueMessages, "state"),
		queues("chassis_queue_oldest_message_age_seconds", "Age of the oldest message, where the queue gives it.", gauge, queueAge),

		workers("chassis_workers", "Executions that may run at once.", gauge, func(w *Workers) any { return w.Workers }),
		workers("chassis_workers_useful", "Executions that could run now: fewer than chassis_workers while all tasks wait for a service, 0 while paused.", gauge, func(w *Workers) any { return w.Useful }),
		workers("chassis_paused", "1 if an operator or a failing check has paused the pool, else 0.", gauge, func(w *Workers) any { return w.Paused }),
		workers("chassis_executions", "Messages held, by phase: running, waiting in place, queued for a slot.", gauge, func(w *Workers) any { return by{"running": w.Running, "waiting": w.Held, "queued": w.Queued} }, "phase"),
		workers("chassis_abandoned_handlers", "Handlers that ignored their cancelled context and still run.", gauge, func(w *Workers) any { return w.Abandoned }),
		workers("chassis_stalled_attempts", "Attempts under way that do not move: silent task actors, and attempts without an end.", gauge, func(w *Workers) any { return w.Stalled }),
		workers("chassis_settle_failures_total", "Messages that could not be settled on the queue.", counter, func(w *Workers) any { return w.SettleFailed }),
		workers("chassis_leases", "Leases held on messages.", gauge, func(w *Workers) any { return w.Poller.Leases }),
		workers("chassis_oldest_lease_age_seconds", "Time since the message of the oldest lease was received.", gauge, leaseAge),
		workers("chassis_queue_requests_total", "Requests to the queue, without those to send, by operation.", counter, queueRequests, "operation"),
		workers("chassis_queue_request_failures_total", "Requests to the queue that failed as a whole.", counter, func(w *Workers) any { return w.Poller.Failures }),
		workers("chassis_queue_throttles_total", "Failed requests by which the queue asked for fewer.", counter, func(w *Workers) any { return w.Poller.Throttles }),
		workers("chassis_queue_client_requests_total", "Receives and deletes by how they were made: by the shortcut, or by the SDK.", counter, queueClient, "path"),
		workers("chassis_queue_shortcut_refused_total", "Requests of the shortcut that were answered 401 or 403, and left to the SDK.", counter, func(w *Workers) any { return w.Poller.Client.Refused }),
		workers("chassis_queue_last_success_timestamp_seconds", "When the queue last answered well, as Unix time.", gauge, lastSuccess),
		workers("chassis_queue_empty_receives_total", "Receives that brought nothing.", counter, func(w *Workers) any { return w.Poller.EmptyReceives }),
		workers("chassis_messages_received_total", "Messages received.", counter, func(w *Workers) any { return w.Poller.Received }),
		workers("chassis_messages_settled_total", "Messages deleted, or released to be seen again.", counter, func(w *Workers) any { return by{"deleted": w.Poller.Deleted, "released": w.Poller.Released} }, "how"),
		workers("chassis_lease_extensions_total", "Extensions of leases.", counter, func(w *Workers) any { return w.Poller.Extended }),
		workers("chassis_leases_lost_total", "Leases lost during their execution.", counter, func(w *Workers) any { return w.Poller.Lost }),
		workers("chassis_messages_sent_total", "Messages that the queue took from this service, or that it was refused.", counter, func(w *Workers) any { return by{"sent": w.Sender.Sent, "refused": w.Sender.Refused} }, "outcome"),
		workers("chassis_send_pending", "Messages that wait to be sent.", gauge, func(w *Workers) any { return w.Sender.Pending }),
		workers("chassis_send_retries_total", "Messages that were tried to be sent again.", counter, func(w *Workers) any { return w.Sender.Retries }),
		rights("chassis_refused_rights", "1 if the queue service refuses the right now, else 0.", gauge, func(r *right) any { return r.refused }),

		tenants("chassis_tenant_dwell_seconds", "Mean time that messages of a tenant waited on the queue for their first receive, lately; of the ten with the longest, and all others as one.", gauge, func(t *tenant) any { return t.Dwell.Seconds() }),
		tenants("chassis_tenant_dwell_longest_seconds", "Longest of these times of one message.", gauge, func(t *tenant) any { return t.Longest.Seconds() }),
		tenants("chassis_tenant_messages", "Messages that these times are taken of, in the last minute or two.", gauge, func(t *tenant) any { return t.Messages }),

		pools("chassis_pool_running", "Attempts under way, by pool.", gauge, func(p *Pool) any { return p.Running }),
		pools("chassis_pool_attempts_started_total", "Attempts begun, by pool.", counter, func(p *Pool) any { return p.Started }),
		pools("chassis_pool_queued", "Messages that wait for a slot, a limit or their group, by pool.", gauge, func(p *Pool) any { return p.Queued }),
		pools("chassis_pool_share", "What a pool may run at once of total_workers while all pools have work; 0 without total_workers.", gauge, func(p *Pool) any { return p.Share }),

		tasks("chassis_task_attempts_started_total", "Attempts begun.", counter, func(t *task) any { return t.Started }),
		tasks("chassis_task_attempts_total", "Attempts ended.", counter, func(t *task) any {
			return by{"succeeded": t.Succeeded, "failed": t.Failed, "refused": t.Refused, "interrupted": t.Interrupted}
		}, "outcome"),
		tasks("chassis_task_panics_total", "Attempts that panicked; they are among the failed.", counter, func(t *task) any { return t.Panicked }),
		tasks("chassis_task_waits_total", "Waits: in place, given back to the queue, postponed to their time.", counter, func(t *task) any { return by{"in_place": t.Held, "given_back": t.GivenBack, "postponed": t.Postponed} }, "kind"),
		tasks("chassis_task_given_up_total", "Tasks given up: to their on_fail task or the dead letters.", counter, func(t *task) any { return t.GivenUp }),
		tasks("chassis_task_abandoned_total", "Handlers that ignored their cancelled context.", counter, func(t *task) any { return t.Abandoned }),
		tasks("chassis_task_stalled_total", "Attempts that did not move: silent task actors, and attempts without an end.", counter, func(t *task) any { return t.Stalled }),
		tasks("chassis_task_running", "Attempts under way.", gauge, func(t *task) any { return t.Running }),
		tasks("chassis_task_paused", "1 if an operator has paused the task, else 0.", gauge, func(t *task) any { return t.Paused }),
		tasks("chassis_task_waits_for_service", "1 while the task waits for a service that does not take all calls, by the service's URL.", gauge, taskWaits, "service"),
		tasks("chassis_task_duration_seconds", "How long attempts took.", histogram, func(t *task) any { return durations(t.Run) }),
		tasks("chassis_task_delay_seconds", "From when a task was due to its first attempt.", histogram, func(t *task) any { return durations(t.Delay) }),

		breakers("chassis_breaker_state", "1 for the state that the breaker's service entry is in, else 0.", gauge, func(b *Breaker) any { return only(breakerStates(), b.State.String()) }, "state"),
		breakers("chassis_breaker_entries", "Entries of a breaker, the service, its unhealthy paths and the addresses that are left out, by state.", gauge, breakerEntries, "state"),
		breakers("chassis_breaker_failures", "Failures that the service entry counts now.", gauge, breakerFailures),
		breakers("chassis_breaker_http_call_duration_seconds", "How long HTTP calls by a breaker's transport took until they were judged, by verdict.", histogram, breakerLatencies, "verdict"),
		breakers("chassis_breaker_http_refused_total", "HTTP calls that a breaker's transport refused.", counter, breakerRefused),
		breakers("chassis_breaker_http_repeats_total", "Attempts after the first of HTTP calls, by kind, and those that the budget of the service refused.", counter, breakerRepeats, "kind"),
		breakers("chassis_breaker_limit", "Calls that may be in flight by the limit of the breaker.", gauge, limitValue(func(l *breaker.LimitStats) any { return l.Limit })),
		breakers("chassis_breaker_limit_in_flight", "Calls in flight of a breaker with a limit.", gauge, limitValue(func(l *breaker.LimitStats) any { return l.InFlight })),
		breakers("chassis_breaker_limit_waiting", "Calls that wait in the queue of the breaker's limit.", gauge, limitValue(func(l *breaker.LimitStats) any { return l.Waiting })),
		breakers("chassis_breaker_limit_refused_total", "Calls that the limit of the breaker refused.", counter, limitValue(func(l *breaker.LimitStats) any { return l.Refused })),
		breakers("chassis_breaker_addresses", "Addresses that requests of the service are spread over, by state: closed ones are in use, open ones are left out.", gauge, breakerAddresses, "state"),
		breakers("chassis_breaker_transitions_total", "Changes of state of the breaker's entries.", counter, func(b *Breaker) any { return b.Seq }),

		outputs("chassis_log_records_total", "Log records, written or dropped.", counter, func(o *output) any { return by{"written": o.Written, "dropped": o.Dropped} }, "outcome"),
		outputs("chassis_log_bytes_total", "Bytes written to the log.", counter, func(o *output) any { return o.Bytes }),
		outputs("chassis_log_pending_records", "Log records in the buffer.", gauge, func(o *output) any { return o.Pending }),
		outputs("chassis_log_write_errors_total", "Writes to the log that failed.", counter, func(o *output) any { return o.Errors }),
	}
}

// serviceStates are the values of the label state of chassis_service_state.
var serviceStates = []string{StateCreated, StateStarting, StateRunning, StateStopping, StateStopped}

// breakerStates are those of chassis_breaker_state.
func breakerStates() (names []string) {
	for state := breaker.Closed; state <= breaker.MetricsOnly; state++ {
		names = append(names, state.String())
	}
	return names
}

// only is 1 for one of names and 0 for the others.
func only(names []string, one string) any {
	values := by{}
	for _, name := range names {
		values[name] = name == one
	}
	return values
}

// durations returns d, or nil if it has no bounds.
func durations(d dispatcher.Durations) any {
	if d.AtMost == nil {
		return nil
	}
	return d
}

func (s *scrape) events() any {
	if s.actors == nil {
		return nil
	}
	return by{"failed": s.actors.Failures, "restarted": s.actors.Restarts, "resumed": s.actors.Resumes,
		"stopped": s.actors.Stops, "dead_letter": s.actors.DeadLetters}
}

func taskWaits(t *dispatcher.TaskStats) any {
	return by{t.WaitsFor: t.WaitsFor != ""} // without a service while it waits for none
}

func checkUp(c *health.Status) any {
	if !c.Known {
		return nil
	}
	return c.Up
}

func checkTook(c *health.Status) any {
	if !c.Known {
		return nil
	}
	return c.Took
}

func queueMessages(q *Queue) any {
	if q.Error != "" {
		return nil
	}
	return by{"visible": q.Visible, "in_flight": q.InFlight, "delayed": q.Delayed}
}

func queueAge(q *Queue) any {
	if q.Error != "" || q.OldestAge == nil {
		return nil
	}
	return *q.OldestAge
}

func queueRequests(w *Workers) any {
	r := w.Poller.Requests
	return by{"receive": r.Receive, "delete": r.Delete, "release": r.Release, "extend": r.Extend, "count": r.Count}
}

func queueClient(w *Workers) any {
	c := w.Poller.Client
	return by{"shortcut": c.Shortcut - c.Refused, "sdk": c.SDK}
}

func leaseAge(w *Workers) any {
	if w.Poller.OldestLease.IsZero() {
		return 0
	}
	return time.Since(w.Poller.OldestLease).Seconds()
}

func lastSuccess(w *Workers) any {
	if w.Poller.LastSuccess.IsZero() {
		return nil
	}
	return w.Poller.LastSuccess
}

func breakerEntries(b *Breaker) any {
	count := by{}
	for _, state := range breakerStates() {
		count[state] = 0
	}
	for _, e := range b.Entries {
		count[e.State.String()] = count[e.State.String()].(int) + 1
	}
	return count
}

func breakerLatencies(b *Breaker) any {
	if b.Calls == nil {
		return nil
	}
	values := by{}
	for verdict, l := range b.Calls().Judged {
		values[verdict.String()] = dispatcher.Durations{Count: l.Count, Sum: l.Sum, AtMost: l.AtMost}
	}
	return values
}

func breakerRefused(b *Breaker) any {
	if b.Calls == nil {
		return nil
	}
	return b.Calls().Refused
}

func breakerRepeats(b *Breaker) any {
	if b.Calls == nil {
		return nil
	}
	c := b.Calls()
	return by{"retry": c.Retried, "hedge": c.Hedged, "over_budget": c.Spent}
}

// limitValue reads a number of a limit of calls in flight.
func limitValue(of func(*breaker.LimitStats) any) func(*Breaker) any {
	return func(b *Breaker) any {
		if b.Limit == nil {
			return nil
		}
		return of(b.Limit)
	}
}

func breakerAddresses(b *Breaker) any {
	if b.Spread == nil {
		return nil
	}
	states := by{}
	for state, n := range b.Spread {
		states[state] = n
	}
	return states
}

func breakerFailures(b *Breaker) any {
	if len(b.Entries) == 0 {
		return nil
	}
	return b.Entries[0].Failures
}
