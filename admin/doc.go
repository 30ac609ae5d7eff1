// Package admin serves what the people on call need of a running service, on a
// listener of its own: probes for the platform, metrics, a JSON API, and a live
// page that shows the service and acts on it.
//
//	server, err := admin.New(admin.Config{
//		Settings: admin.Settings{}, // 127.0.0.1:9190, or a free port if that is taken
//		Service:  svc,              // what it is, whether it lives and is ready
//		Tasks:    tasks,            // what is shown and done; nil: the page leaves it out
//	})
//	if err != nil {
//		return err
//	}
//	defer server.Close(ctx)
//	fmt.Println(server.URL())
//
// A user of the chassis writes none of this: chassis.System serves itself. The
// package sees a service through the five interfaces of view.go. What they return
// are the stats of the actors' packages, shown as their JSON tags say; the metrics
// read the same values (metric_table.go). Package console implements them.
//
// # Paths
//
//	GET  /                            the page
//	GET  /livez /readyz /startupz     probes, 200 or 503, JSON
//	GET  /metrics                     Prometheus and OpenMetrics text
//	GET  /debug/pprof/                with the setting pprof
//	GET  /api/v1/me                   [Client]: what the server knows of the client
//	GET  /api/v1/state                [State]: all that is cheap to know
//	GET  /api/v1/stream               server-sent events: state, tasks, log
//	GET  /api/v1/executions           [ExecutionPage]; ?search= &phase= &task= &offset= &limit=
//	POST /api/v1/executions/cancel    {"exec_id", "reason"}
//	POST /api/v1/executions/snooze    {"exec_id", "for": "10m"}
//	POST /api/v1/tasks/pause          {"task"}; "" is the pool, a missing one an error
//	POST /api/v1/tasks/resume         {"task"}
//	GET  /api/v1/dead                 [DeadPage]; ?limit=
//	POST /api/v1/dead/back            {"ids": [...]} back to their pool
//	POST /api/v1/dead/delete          {"ids": [...], "confirm": "delete"}
//	GET  /api/v1/breakers             [BreakerPage]; ?offset= &limit=
//	GET  /api/v1/transitions          the breakers' log; ?service= &since=
//	POST /api/v1/breakers/force       {"service", "path", "to": "forced-open", "for": "1h"}; default 5m, 0s: until a reset
//	POST /api/v1/breakers/reset       {"service", "path"}
//	GET  /api/v1/schedules            [ScheduleList]
//	POST /api/v1/schedules/run        {"name"}; /pause and /resume hold for the whole fleet
//	GET  /api/v1/fleet                [FleetPage]: the other processes of the service
//	GET  /api/v1/fleet/NAME/PART      PART of a member: state, executions, breakers, transitions, schedules, log, settings
//	POST /api/v1/fleet/do             {"order": "tasks/pause", "body": {"task": ""}, "all": true} or "members": [...]; [FleetAnswers]
//	GET  /api/v1/log                  the last records; ?lines=
//	POST /api/v1/log/level            {"name", "level"}; an empty level gives the name back
//	GET  /api/v1/settings             every setting, its value and where it came from
//
// Errors are application/problem+json (RFC 9457), except for an unknown path or
// method, which is plain text. A command that is refused has changed nothing.
// Durations are seconds in answers, and text like "1m30s" or a number of seconds in
// commands.
//
// # Who may do what
//
// By default only this machine can connect. A listener that others can reach
// needs a token, sent as "Authorization: Bearer …" with every request but those
// for the probes and the page's own files, which hold nothing of the service.
// Tokens have names and scopes ([ScopeRead], [ScopeOperate]); a client certificate
// ([TLSSettings]) or a handler around the server ([WithIdentity]) can stand for
// one. A command without a token needs the header [CommandHeader], which no form,
// link or redirect can set.
// Requests with a foreign Host, a foreign Origin, or sent by another site's page
// are refused on every listener: no page in an operator's browser gets at the
// service (CSRF, DNS rebinding).
//
// A request that one member of a fleet passes on to another carries no token. It is
// signed with one that both have, for the client that sent it and with its scope (sign.go).
//
// # What messages and clients control
//
// Ids, names, hosts, paths and error texts are cut by package internal/clip before
// they are shown. Lists have pages, answers and frames have bounds in bytes
// (bounds.go). A client is known before its body is read. A connection that is not
// being served can lose its place to a new one at any time, so a flood keeps no
// probe out (conns.go).
//
// # Ownership and goroutines
//
// One goroutine, the hub, owns the viewers of the page and the history behind
// its curves; it ends with [Server.Close]. All methods of a [Server] are safe
// from any goroutine. The interfaces of [Config] are called from several; the
// slices and maps that they return are the server's from then on.
//
// # Debugging and tests
//
// Every command is logged by [Config.Audit] with its sender, what it was, how many
// it touched and how it went. A test serves
// [Server.Handler] without a listener.
package admin
