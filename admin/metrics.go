package admin

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	dto "github.com/prometheus/client_model/go"

	"github.com/sambatech/chassis/internal/clip"
)

// metric is one name of ours: what it is called, of which kind, what it says.
// The names follow the Prometheus and OpenTelemetry conventions: base units, the
// unit in the name, _total for counts since the start.
type metric struct {
	name, help string
	kind       prometheus.ValueType
	labels     []string
}

const (
	gauge   = prometheus.GaugeValue
	counter = prometheus.CounterValue
)

// Labels are bounded: task names that are registered, services that have a
// breaker, each at most so many. What is beyond is left out and counted.
const maxSeries = 200

var (
	mInfo       = metric{"chassis_build_info", "1, labelled with what runs.", gauge, []string{"service", "version", "goversion"}}
	mState      = metric{"chassis_service_state", "1 for the state that the service is in, else 0.", gauge, []string{"state"}}
	mReady      = metric{"chassis_ready", "1 if the readiness check is OK, else 0.", gauge, []string{"check"}}
	mLeftOut    = metric{"chassis_metrics_left_out", "Tasks or breakers that are not shown, to bound the number of series.", gauge, []string{"kind"}}
	mQueueUp    = metric{"chassis_queue_up", "1 if the queue told its numbers, else 0.", gauge, []string{"queue", "role"}}
	mQueue      = metric{"chassis_queue_messages", "Messages on the queue, approximately.", gauge, []string{"queue", "role", "state"}}
	mQueueAge   = metric{"chassis_queue_oldest_message_age_seconds", "Age of the oldest message, where the queue tells it.", gauge, []string{"queue", "role"}}
	mWorkers    = metric{"chassis_workers", "Executions that may run at once.", gauge, nil}
	mPaused     = metric{"chassis_paused", "1 if an operator has paused the pool, else 0.", gauge, nil}
	mExecutions = metric{"chassis_executions", "Messages held, by phase: running, waiting in place, queued for a slot.", gauge, []string{"phase"}}
	mHung       = metric{"chassis_abandoned_handlers", "Handlers that ignored their cancelled context and still run.", gauge, nil}
	mStalled    = metric{"chassis_stalled_attempts", "Attempts under way that do not move: silent task actors, and attempts without an end.", gauge, nil}
	mLeases     = metric{"chassis_leases", "Leases held on messages.", gauge, nil}
	mOldest     = metric{"chassis_oldest_lease_age_seconds", "Time since the message of the oldest lease was received.", gauge, nil}
	mRestarts   = metric{"chassis_actor_restarts_total", "Restarts of an actor after a panic.", counter, []string{"actor"}}
	mActors     = metric{"chassis_actor_events_total", "What became of actors, the service's and the chassis', but not of tasks: failed (a panic), restarted, resumed, stopped for good by a supervisor; and dead_letter, a message without a receiver.", counter, []string{"event"}}
	mLogins     = metric{"chassis_admin_refused_logins_total", "Requests to the admin server with a wrong token.", counter, nil}
	mUnsettled  = metric{"chassis_settle_failures_total", "Messages whose end could not be told to the queue.", counter, nil}

	mRequests  = metric{"chassis_queue_requests_total", "Requests to the queue, without those to send, by operation.", counter, []string{"operation"}}
	mReqFailed = metric{"chassis_queue_request_failures_total", "Requests to the queue that failed as a whole.", counter, nil}
	mThrottles = metric{"chassis_queue_throttles_total", "Failed requests by which the queue asked for fewer.", counter, nil}
	mRefused   = metric{"chassis_refused_rights", "1 if the queue service refuses the right now, else 0.", gauge, []string{"action", "queue"}}
	mClient    = metric{"chassis_queue_client_requests_total", "Receives and deletes by how they were made: by the shortcut, or by the SDK.", counter, []string{"path"}}
	mFallback  = metric{"chassis_queue_shortcut_refused_total", "Requests of the shortcut that were answered 401 or 403, and left to the SDK.", counter, nil}
	mSuccess   = metric{"chassis_queue_last_success_timestamp_seconds", "When the queue last answered well, as Unix time.", gauge, nil}
	mEmpty     = metric{"chassis_queue_empty_receives_total", "Receives that brought nothing.", counter, nil}
	mReceived  = metric{"chassis_messages_received_total", "Messages received.", counter, nil}
	mSettled   = metric{"chassis_messages_settled_total", "Messages deleted, or released to be seen again.", counter, []string{"how"}}
	mExtended  = metric{"chassis_lease_extensions_total", "Extensions of leases.", counter, nil}
	mLost      = metric{"chassis_leases_lost_total", "Leases lost during their execution.", counter, nil}
	mSent      = metric{"chassis_messages_sent_total", "Messages that the queue took from this service, or that it was refused.", counter, []string{"outcome"}}
	mPending   = metric{"chassis_send_pending", "Messages that wait to be sent.", gauge, nil}
	mRetries   = metric{"chassis_send_retries_total", "Messages that were tried to be sent again.", counter, nil}

	mPoolRuns   = metric{"chassis_pool_running", "Attempts under way, by pool.", gauge, []string{"pool"}}
	mPoolStarts = metric{"chassis_pool_attempts_started_total", "Attempts begun, by pool.", counter, []string{"pool"}}
	mPoolQueued = metric{"chassis_pool_queued", "Messages that wait for a slot, a limit or their group, by pool.", gauge, []string{"pool"}}
	mPoolShare  = metric{"chassis_pool_share", "What a pool may run at once of total_workers while all pools have work; 0 without total_workers.", gauge, []string{"pool"}}

	mStarted   = metric{"chassis_task_attempts_started_total", "Attempts begun.", counter, []string{"task"}}
	mAttempts  = metric{"chassis_task_attempts_total", "Attempts ended.", counter, []string{"task", "outcome"}}
	mPanics    = metric{"chassis_task_panics_total", "Attempts that panicked; they are among the failed.", counter, []string{"task"}}
	mWaits     = metric{"chassis_task_waits_total", "Waits: in place, given back to the queue, postponed to their time.", counter, []string{"task", "kind"}}
	mGivenUp   = metric{"chassis_task_given_up_total", "Tasks given up: to their on_fail task or the dead letters.", counter, []string{"task"}}
	mAbandoned = metric{"chassis_task_abandoned_total", "Handlers that ignored their cancelled context.", counter, []string{"task"}}
	mStalls    = metric{"chassis_task_stalled_total", "Attempts that did not move: silent task actors, and attempts without an end.", counter, []string{"task"}}
	mRunning   = metric{"chassis_task_running", "Attempts under way.", gauge, []string{"task"}}
	mTaskPause = metric{"chassis_task_paused", "1 if an operator has paused the task, else 0.", gauge, []string{"task"}}
	mDuration  = metric{"chassis_task_duration_seconds", "How long attempts took.", gauge, []string{"task"}}
	mDelay     = metric{"chassis_task_delay_seconds", "From when a task was due to its first attempt.", gauge, []string{"task"}}

	mBreaker     = metric{"chassis_breaker_state", "1 for the state that the breaker's service entry is in, else 0.", gauge, []string{"service", "state"}}
	mEntries     = metric{"chassis_breaker_entries", "Entries of a breaker, the service and its unhealthy paths, by state.", gauge, []string{"service", "state"}}
	mFailures    = metric{"chassis_breaker_failures", "Failures that the service entry counts now.", gauge, []string{"service"}}
	mTransitions = metric{"chassis_breaker_transitions_total", "Changes of state of the breaker's entries.", counter, []string{"service"}}

	mRecords   = metric{"chassis_log_records_total", "Log records, written or dropped.", counter, []string{"output", "outcome"}}
	mLogBytes  = metric{"chassis_log_bytes_total", "Bytes written to the log.", counter, []string{"output"}}
	mLogWait   = metric{"chassis_log_pending_records", "Log records in the buffer.", gauge, []string{"output"}}
	mLogErrors = metric{"chassis_log_write_errors_total", "Writes to the log that failed.", counter, []string{"output"}}
)

var allMetrics = []metric{
	mInfo, mState, mReady, mLeftOut, mQueueUp, mQueue, mQueueAge, mWorkers, mPaused, mExecutions, mHung, mStalled, mLeases, mOldest, mRestarts, mActors, mLogins, mUnsettled,
	mRequests, mReqFailed, mThrottles, mRefused, mClient, mFallback, mSuccess, mEmpty, mReceived, mSettled, mExtended, mLost, mSent, mPending, mRetries,
	mPoolRuns, mPoolStarts, mPoolQueued, mPoolShare,
	mStarted, mAttempts, mPanics, mWaits, mGivenUp, mAbandoned, mStalls, mRunning, mTaskPause, mDuration, mDelay,
	mBreaker, mEntries, mFailures, mTransitions, mRecords, mLogBytes, mLogWait, mLogErrors,
}

// MetricNames are the names of all metrics of ours, sorted. /metrics also has
// those of the Go runtime and the process, and what [Config.Metrics] gathers.
func MetricNames() []string {
	var names []string
	for _, m := range allMetrics {
		names = append(names, m.name)
	}
	slices.Sort(names)
	return names
}

// serviceStates are the values of the label state of chassis_service_state.
var serviceStates = []string{StateCreated, StateStarting, StateRunning, StateStopping, StateStopped}

// breakerStates are those of chassis_breaker_state.
var breakerStates = []string{"closed", "open", "half-open", "forced-open", "forced-closed", "metrics-only"}

// collector reads the service when it is scraped. Nothing is counted for it: a
// call through a healthy breaker writes nothing that is shared.
type collector struct {
	server *Server
	descs  map[string]*prometheus.Desc
}

func (s *Server) metrics() (http.Handler, error) {
	c := &collector{server: s, descs: map[string]*prometheus.Desc{}}
	for _, m := range allMetrics {
		c.descs[m.name] = prometheus.NewDesc(m.name, m.help, m.labels, nil)
	}
	registry := prometheus.NewRegistry()
	for _, r := range []prometheus.Collector{c, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{})} {
		if err := registry.Register(r); err != nil {
			return nil, err
		}
	}
	var gatherer prometheus.Gatherer = registry
	if s.cfg.Metrics != nil {
		gatherer = prometheus.GathererFunc(func() ([]*dto.MetricFamily, error) {
			ours, err := registry.Gather()
			theirs, err2 := s.cfg.Metrics.Gather()
			return joined(ours, theirs), errors.Join(err, err2)
		})
	}
	return promhttp.HandlerFor(gatherer, promhttp.HandlerOpts{
		ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelWarn), ErrorHandling: promhttp.ContinueOnError,
		EnableOpenMetrics: true, MaxRequestsInFlight: 8, Timeout: readTimeout,
	}), nil
}

// joined is ours and, of the service's own, those of other names: the default
// registry, say, has the Go runtime's too, and one name twice is an error.
func joined(ours, theirs []*dto.MetricFamily) []*dto.MetricFamily {
	byName := func(a, b *dto.MetricFamily) int { return strings.Compare(a.GetName(), b.GetName()) }
	all := slices.Clone(ours) // sorted, as every gatherer's
	for _, f := range theirs {
		if _, taken := slices.BinarySearchFunc(ours, f, byName); !taken {
			all = append(all, f)
		}
	}
	slices.SortFunc(all, byName)
	return all
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range c.descs {
		ch <- d
	}
}

// scrape is one look at the service for the metrics.
type scrape struct {
	*collector
	ch chan<- prometheus.Metric
}

func (s scrape) put(m metric, value float64, labels ...string) {
	for i, l := range labels {
		labels[i] = clip.ID(l)
	}
	s.ch <- prometheus.MustNewConstMetric(s.descs[m.name], m.kind, value, labels...) // labels are as many as in allMetrics: tested
}

func (s scrape) durations(m metric, d Distribution, labels ...string) {
	for i, l := range labels {
		labels[i] = clip.ID(l)
	}
	if d.Buckets != nil {
		s.ch <- prometheus.MustNewConstHistogram(s.descs[m.name], d.Count, d.Sum, d.Buckets, labels...)
	}
}

func (s scrape) truth(m metric, is bool, labels ...string) {
	value := 0.0
	if is {
		value = 1
	}
	s.put(m, value, labels...)
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(c.server.hub.ctx, stateTimeout)
	defer cancel()
	s, cfg := scrape{c, ch}, &c.server.cfg
	info, ready := cfg.Service.Info(), cfg.Service.Ready(ctx)
	s.put(mInfo, 1, info.Name, info.Version, info.GoVersion)
	for _, state := range serviceStates {
		s.truth(mState, info.State == state, state)
	}
	s.truth(mReady, ready.TaskQueues == OK, "task_queues")
	s.truth(mReady, ready.TaskConsumer == OK, "task_consumer")
	s.put(mLogins, float64(c.server.audit.logins()))
	if cfg.Queues != nil {
		s.queues(cfg.Queues.Queues(ctx))
	}
	if cfg.Tasks != nil {
		s.workers(cfg.Tasks.Workers())
		s.tasks(cfg.Tasks.Tasks())
	}
	if cfg.Breakers != nil {
		s.breakers(c.server.breakers())
	}
	if cfg.Logs != nil {
		s.logs(cfg.Logs.Log())
	}
	if cfg.Actors != nil {
		a := cfg.Actors()
		s.put(mActors, float64(a.Failed), "failed")
		s.put(mActors, float64(a.Restarted), "restarted")
		s.put(mActors, float64(a.Resumed), "resumed")
		s.put(mActors, float64(a.Stopped), "stopped")
		s.put(mActors, float64(a.DeadLetters), "dead_letter")
	}
}

func (s scrape) queues(list []Queue) {
	for _, q := range list {
		s.truth(mQueueUp, q.Error == "" && !q.Missing, q.Name, q.Role)
		if q.Error != "" {
			continue
		}
		s.put(mQueue, float64(q.Visible), q.Name, q.Role, "visible")
		s.put(mQueue, float64(q.InFlight), q.Name, q.Role, "in_flight")
		s.put(mQueue, float64(q.Delayed), q.Name, q.Role, "delayed")
		if q.OldestAge != nil {
			s.put(mQueueAge, *q.OldestAge, q.Name, q.Role)
		}
	}
}

func (s scrape) workers(w Workers) {
	s.put(mWorkers, float64(w.Workers))
	s.truth(mPaused, w.Paused)
	s.put(mExecutions, float64(w.Running), "running")
	s.put(mExecutions, float64(w.Waiting), "waiting")
	s.put(mExecutions, float64(w.Queued), "queued")
	s.put(mHung, float64(w.Abandoned))
	s.put(mStalled, float64(w.Stalled))
	s.put(mRestarts, float64(w.Restarts), "dispatcher")
	s.put(mUnsettled, float64(w.SettleFailed))
	p := w.Poller
	s.put(mRestarts, float64(p.Restarts), "poller")
	s.put(mLeases, float64(p.Leases))
	age := 0.0
	if !p.OldestLease.IsZero() {
		age = time.Since(p.OldestLease).Seconds()
	}
	s.put(mOldest, age)
	for operation, n := range p.Requests {
		s.put(mRequests, float64(n), operation)
	}
	s.put(mReqFailed, float64(p.Failures))
	s.put(mThrottles, float64(p.Throttles))
	s.put(mClient, float64(p.Client.Shortcut-p.Client.Refused), "shortcut")
	s.put(mClient, float64(p.Client.SDK), "sdk")
	s.put(mFallback, float64(p.Client.Refused))
	s.refused(w)
	if !p.LastSuccess.IsZero() {
		s.put(mSuccess, float64(p.LastSuccess.UnixNano())/1e9)
	}
	s.put(mEmpty, float64(p.EmptyReceives))
	s.put(mReceived, float64(p.Received))
	s.put(mSettled, float64(p.Deleted), "deleted")
	s.put(mSettled, float64(p.Released), "released")
	s.put(mExtended, float64(p.Extended))
	s.put(mLost, float64(p.Lost))
	s.put(mSent, float64(w.Sender.Sent), "sent")
	s.put(mSent, float64(w.Sender.Refused), "refused")
	s.put(mPending, float64(w.Sender.Pending))
	s.put(mRetries, float64(w.Sender.Retries))
	for _, p := range w.Pools {
		s.put(mPoolRuns, float64(p.Running), p.Name)
		s.put(mPoolStarts, float64(p.Started), p.Name)
		s.put(mPoolQueued, float64(p.Queued), p.Name)
		s.put(mPoolShare, float64(p.Share), p.Name)
	}
}

// rights are those that a pool needs to work at all. They are shown while they
// are granted too, so that an alert sees the change.
var rights = []string{"sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility", "sqs:SendMessage"}

func (s scrape) refused(w Workers) {
	type right struct{ action, queue string }
	list := map[right]bool{}
	for _, p := range w.Pools {
		for _, action := range rights {
			list[right{action, clip.ID(p.Name)}] = false
		}
	}
	for _, r := range w.Poller.Refused[:min(len(w.Poller.Refused), maxSeries)] {
		list[right{clip.ID(r.Action), clip.ID(r.Queue)}] = true
	}
	for r, is := range list {
		s.truth(mRefused, is, r.action, r.queue)
	}
}

// tasks shows registered names alone: others are anything that somebody sent.
func (s scrape) tasks(list []Task) {
	list = slices.DeleteFunc(slices.Clone(list), func(t Task) bool { return !t.Registered })
	slices.SortFunc(list, func(a, b Task) int { return cmp.Compare(a.Name, b.Name) })
	s.put(mLeftOut, float64(max(len(list)-maxSeries, 0)), "tasks")
	for _, t := range list[:min(len(list), maxSeries)] {
		t.Name = clip.ID(t.Name)
		s.put(mStarted, float64(t.Started), t.Name)
		s.put(mAttempts, float64(t.Succeeded), t.Name, "succeeded")
		s.put(mAttempts, float64(t.Failed), t.Name, "failed")
		s.put(mAttempts, float64(t.Interrupted), t.Name, "interrupted")
		s.put(mPanics, float64(t.Panicked), t.Name)
		s.put(mWaits, float64(t.Waits), t.Name, "in_place")
		s.put(mWaits, float64(t.GivenBack), t.Name, "given_back")
		s.put(mWaits, float64(t.Postponed), t.Name, "postponed")
		s.put(mGivenUp, float64(t.GivenUp), t.Name)
		s.put(mAbandoned, float64(t.Abandoned), t.Name)
		s.put(mStalls, float64(t.Stalled), t.Name)
		s.put(mRunning, float64(t.Running), t.Name)
		s.truth(mTaskPause, t.Paused, t.Name)
		s.durations(mDuration, t.Run, t.Name)
		s.durations(mDelay, t.Delay, t.Name)
	}
}

func (s scrape) breakers(list []Breaker) {
	s.put(mLeftOut, float64(max(len(list)-maxSeries, 0)), "breakers")
	restarts := 0
	for i, b := range list {
		restarts += b.Restarts
		if i >= maxSeries {
			continue
		}
		b.Service = clip.ID(b.Service)
		count := map[string]int{}
		for _, e := range b.Entries {
			count[e.State]++
		}
		for _, state := range breakerStates {
			s.truth(mBreaker, b.State == state, b.Service, state)
			s.put(mEntries, float64(count[state]), b.Service, state)
		}
		if len(b.Entries) > 0 {
			s.put(mFailures, float64(b.Entries[0].Failures), b.Service)
		}
		s.put(mTransitions, float64(b.Seq), b.Service)
	}
	s.put(mRestarts, float64(restarts), "breaker")
}

func (s scrape) logs(l Log) {
	for _, o := range l.Outputs {
		s.put(mRecords, float64(o.Written), o.Name, "written")
		s.put(mRecords, float64(o.Dropped), o.Name, "dropped")
		s.put(mLogBytes, float64(o.Bytes), o.Name)
		s.put(mLogWait, float64(o.Pending), o.Name)
		s.put(mLogErrors, float64(o.Errors), o.Name)
	}
}
