// Package wire is the AWS JSON 1.0 protocol of SQS, and the query protocol made
// into it: requests decoded and checked as far as they can be without a queue,
// answers encoded. The answers of sends, receives and deletes are appended by
// hand, the others marshalled.
//
// It is pure: no state, safe from several goroutines.
package wire
