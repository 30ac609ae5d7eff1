// Package console puts a service on its admin server: it shows and steers the
// pools, the breakers, the logger and the settings of a process by the interfaces
// of package admin.
//
//	c := console.New(console.Config{Settings: set, Name: "mailer", Pools: pools, Breakers: breakers, Log: log, ...})
//	if err := c.Open(false); err != nil {
//		return err
//	}
//	...
//	err := c.Close(ctx) // the last stage of a stop
//
// The package owns no state of the service: it reads what the actors' packages
// publish, and gives commands by their types. Its own are the server, and the list
// of the settings (origins.go). All methods are safe from any goroutine.
//
// To see why a command was refused, read its answer: errors of the actors' packages
// are passed on, marked as 400, 404 or 409 by the errors of package admin. The tests
// run a whole chassis.System and ask its admin server.
package console
