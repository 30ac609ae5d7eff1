// Package console puts a service on its admin server: it shows and steers the
// pools, the breakers, the logger and the settings of a process by the interfaces
// of package admin.
//
//	c := console.New(console.Config{Settings: set, Name: "mailer", Pools: pools, Breakers: breakers, Log: log, ...})
//	err := c.Open(console.IfAsked)
//	...
//	c.Close(ctx) // the last stage of a stop
//
// [Console.Apply] puts changed tokens in force. All methods are safe from any
// goroutine. The package owns no state of the service: it reads what the leaves
// publish, and gives commands to their actors.
package console
