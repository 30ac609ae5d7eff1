// Command chassis works on queues, tasks, dead letters and settings of services
// built on the chassis, looks at one that runs, and begins a new one.
//
//	chassis queue serve          an SQS on this machine, in memory or in a file
//	chassis queue ls|peek|purge  queues and what lies on them
//	chassis send NAME [ARGS]     a task, or one for each line of a file
//	chassis dead ls|show|back|rm dead letters: look, send back, delete
//	chassis settings …           check, explain and describe settings files
//	chassis top                  a running service, live
//	chassis breaker ls|force|reset  the circuit breakers of a running service
//	chassis new NAME             a service to start from
//	chassis completion SHELL     completion for bash, zsh, fish, powershell
//
// The queue is the one that the settings of the working directory name
// (chassis.yaml, CHASSIS_…), at queue.listen if the service runs and holds its file,
// unless flags say otherwise: --path for the file of
// an embedded queue that no service has open, --endpoint for anything that
// speaks SQS, --region and --profile for AWS. Dead letters can also be reached
// by the admin API of a running service (--admin); top and breaker work by it alone.
//
// # Exit codes
//
//	0    done
//	1    failed: the queue does not answer, refuses, …
//	2    wrong usage: nothing was done
//	3    settings with mistakes
//	4    not found: a queue, a file, a dead letter
//	5    not confirmed: nothing was done
//	130  interrupted; what was done until then is printed
//
// With --json every command writes JSON to stdout, and an error as one JSON
// object to stderr.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}
