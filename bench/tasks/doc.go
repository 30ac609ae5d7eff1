// Package tasks measures how fast tasks go through, side by side with what a
// user would write or take instead. Everything is in its tests:
//
//	go test -run '^$' -bench . -benchtime 100000x ./tasks
//
// Sending is excluded: the queue is filled before the clock starts. A task is
// done when its message is deleted. Over loopback the queue is a process of
// its own, so that cpu-ns/op is the worker's alone.
package tasks
