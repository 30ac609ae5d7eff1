// Package fleet lets the copies of one service share what they have seen: when some of
// them find a remote service down, all stop calling it, and when one sees it work again
// all go on. It is a module of its own, which the core does not import: a service without
// it has none of its code, goroutines or costs.
//
//	type Config struct {
//		chassis.Settings
//		Fleet fleet.Settings `key:"fleet"`
//	}
//
//	cfg, use := chassis.MustLoad(Config{Settings: chassis.DefaultSettings()})
//	sys := chassis.MustNew("mailer", use)
//	members, err := fleet.Join(sys, cfg.Fleet)
//
//	fleet: {seeds: [mailer-fleet.default.svc], bind: "0.0.0.0:7946", key: "..."}
//
// # What is shared
//
// The state of breakers: see docs/fleet.md for the protocol. A call is decided by the
// breaker of its own process alone, at once. It never waits for another member. Words of
// other members reach a breaker through its actor, as the events Trip, Doubt and Recover
// of package breaker, and never change what an operator has ordered.
//
// Notices: sys.Cancel ends an execution of any member, and an operator's orders reach it.
// See docs/addresses.md for the rules.
//
// Rates, by [Fleet.Rate]: the members admit at most so many calls a second together.
//
// A digest of each member: [Fleet.Members], and [Fleet.Handler] as JSON.
//
// # Who owns what
//
// The agent, an actor at the address "fleet-agent", owns what this process knows: the
// words of all members (internal/register, pure), and who is alive. The membership is
// that of hashicorp/memberlist, by UDP and TCP on one port; its goroutines only post to
// the agent. A goroutine looks for seeds that are missing, another sends. What is to be
// brought to other members (internal/carry, pure) has a lock and a sender of its own, so that
// words do not wait for it.
//
// All methods of [Fleet] and [Rate] are safe from any goroutine.
//
// # Debugging and tests
//
// Reasons in a breaker's transitions begin with "fleet: " and name the members. The log
// "fleet" has who joins and leaves, and at level debug what memberlist says. To test a
// service with a fleet, join two systems in one process, each with bind 127.0.0.1:0.
package fleet
